import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { RelayPort, ServiceOptions } from '../../relay/relay.ts';
import type { PlainSide } from '../../switch/plain-side.ts';
import {
  type AttachmentKeeper,
  lanAddress,
  type MediatorAttachment,
  reasonOf,
  type TunnelDatagramSocket,
  udpSocketBestWay,
} from '../../terminal/index.ts';

/**
 * A standing UDP service (P7.6): what devices send to a port of the mediator goes to a plain server, from one socket here
 * for each of them, and what the server answers on that socket goes back to it. Past this program where UDP passes.
 */

/** How soon a port that could not be had is asked for again, and at the longest. */
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;

/** What a service is made of. */
export interface StandingUdpOptions extends ServiceOptions {
  readonly side: PlainSide;
  readonly keeper: AttachmentKeeper;
  /** Address of the mediator, or `lan`, and number. */
  readonly at: { readonly address: string; readonly number: number };
  readonly clock: Clock;
  readonly log: Log;
}

/** Whether the service is applied. */
export type StandingState =
  | { readonly state: 'pending' }
  | { readonly state: 'applied' }
  | { readonly state: 'refused'; readonly reason: string };

/** See the head of this file. */
export class StandingUdp {
  private readonly options: StandingUdpOptions;
  private readonly port: RelayPort;
  private readonly unkeep: () => void;
  private socket: TunnelDatagramSocket | undefined;
  private now: StandingState = { state: 'pending' };
  private cancelRetry = () => {};
  private closed = false;

  constructor(options: StandingUdpOptions) {
    const { side, keeper } = options;
    this.options = options;
    this.port = side.relay.addService(options);
    side.listenToPort(this.port, {
      onDatagram: (peer, bytes) => this.socket?.send(bytes, peer.number, peer.address, () => {}),
      onUnapproved: () => {},
      onUnreachable: () => {},
    });
    this.unkeep = keeper.each(attachment => void this.apply(attachment, firstRetryMs));
  }

  /** See {@link StandingState}. */
  get state(): StandingState {
    return this.now;
  }

  private async apply(attachment: MediatorAttachment, retryMs: number): Promise<void> {
    this.cancelRetry();
    try {
      const socket = await this.openPort(attachment);
      if (this.closed) return void socket.close();
      this.take(socket, attachment);
    } catch (thrown) {
      if (attachment.closed || this.closed) return;
      this.become({ state: 'refused', reason: reasonOf(thrown) });
      this.retry(attachment, retryMs);
    }
  }

  private retry(attachment: MediatorAttachment, afterMs: number): void {
    if (attachment.closed || this.closed) return;
    const nextMs = Math.min(2 * afterMs, longestRetryMs);
    this.cancelRetry = this.options.clock.after(afterMs, () => void this.apply(attachment, nextMs));
  }

  private async openPort(attachment: MediatorAttachment): Promise<TunnelDatagramSocket> {
    const { at, keeper } = this.options;
    const address =
      at.address === 'lan' ? lanAddress(keeper.mediator?.report, keeper.mediatorName) : at.address;
    return udpSocketBestWay(attachment, { address, number: at.number, choice: 'mandatory' });
  }

  private take(socket: TunnelDatagramSocket, attachment: MediatorAttachment): void {
    const { side } = this.options;
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('message', (bytes, { address, port: number }) =>
      side.relay.sendPlain(this.port, { address, number }, bytes),
    );
    socket.on('close', () => {
      this.socket = undefined;
      if (!this.closed) this.become({ state: 'pending' });
      this.retry(attachment, firstRetryMs);
    });
    socket.bypass({
      to: { port: this.port },
      onRoute: route => side.relay.bindPort(this.port, route ?? 'script'),
    });
    this.become({ state: 'applied' });
  }

  private become(state: StandingState): void {
    if (JSON.stringify(state) === JSON.stringify(this.now)) return;
    this.now = state;
    const { at, service, keeper, log } = this.options;
    log.info({ ...state, mediator: keeper.mediatorName, at, service }, 'standing service');
  }

  /** Ends it: the mediator's port and every socket. */
  close(): void {
    this.closed = true;
    this.cancelRetry();
    this.unkeep();
    this.socket?.close();
    this.options.side.relay.removePort(this.port);
  }
}
