import type { RelayPort, ServiceOptions } from '../../relay/relay.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import {
  type MediatorAttachment,
  type TunnelDatagramSocket,
  udpSocketBestWay,
} from '../../terminal/index.ts';
import { type AskRelay, type Flow, noFlow } from '../features/flow.ts';
import type { StandingOpened, StandingWay } from './standing-port.ts';

/**
 * A standing UDP service (P7.6): what devices send to a port of the mediator goes to a plain server, from one socket here
 * for each of them, and what the server answers on that socket goes back to it. Past this program where UDP passes.
 */
export class StandingUdp implements StandingWay {
  private readonly side: PlainSide;
  private readonly port: RelayPort;
  private socket: TunnelDatagramSocket | undefined;

  constructor(side: PlainSide, options: ServiceOptions) {
    this.side = side;
    this.port = side.relay.addService(options);
    side.listenToPort(this.port, {
      onDatagram: (peer, bytes) => this.socket?.send(bytes, peer.number, peer.address, () => {}),
      onUnapproved: () => {},
      onUnreachable: () => {},
    });
  }

  /** The relay knows them. */
  readonly devices = undefined;

  flow(relay: AskRelay): Flow {
    const counted = relay()?.ports.get(this.port);
    return { ...noFlow, bytesToLan: counted?.bytesIn ?? 0, bytesFromLan: counted?.bytesOut ?? 0 };
  }

  async open(
    attachment: MediatorAttachment,
    { address, number }: { readonly address: string; readonly number: number },
  ): Promise<StandingOpened> {
    const socket = await udpSocketBestWay(attachment, { address, number, choice: 'mandatory' });
    const { side, port } = this;
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('message', (bytes, from) =>
      side.relay.sendPlain(port, { address: from.address, number: from.port }, bytes),
    );
    socket.bypass({ to: { port }, onRoute: route => side.relay.bindPort(port, route ?? 'script') });
    // Not by events.once(), which an 'error' before it makes fail.
    const closed = new Promise<void>(resolve => {
      socket.once('close', () => {
        if (this.socket === socket) this.socket = undefined;
        resolve();
      });
    });
    return { closed, close: () => void socket.close() };
  }

  close(): void {
    this.side.relay.removePort(this.port);
  }
}
