import { isIPv6 } from 'node:net';
import type { IpText } from '../wire/ip.ts';
import type { Report } from '../wire/messages/report.ts';
import { udpSocketBestWay } from './best-way.ts';
import { sourceAddressFor } from './lan-address.ts';
import type { MediatorAttachment } from './mediator-attachment.ts';
import type { RemoteInfo, TunnelDatagramSocket } from './tunnel-datagram-socket.ts';

/** What {@link FacingPorts} work with. */
export interface FacingPortsOptions {
  readonly attachment: () => Promise<MediatorAttachment>;
  /** What the mediator says of its interfaces. */
  readonly report: () => Report | undefined;
  readonly onMessage: (bytes: Buffer, from: RemoteInfo) => void;
  /** ICMP told the mediator that a destination cannot be reached. */
  readonly onUnreachable?: (peer: { readonly address: IpText; readonly port: number }) => void;
}

/** The UDP ports of one local sender: one on each address of the mediator that faces one of its destinations. */
export class FacingPorts {
  private readonly options: FacingPortsOptions;
  private readonly ports = new Map<string, Promise<TunnelDatagramSocket>>();
  private closed = false;

  constructor(options: FacingPortsOptions) {
    this.options = options;
  }

  /**
   * Sends one datagram from the port that faces its destination, which is opened if need be.
   * @throws TunnelError when the mediator refuses to open it
   */
  async send(content: Buffer, port: number, address: IpText): Promise<void> {
    const socket = await this.portFor(address);
    socket.send(content, port, address, () => {});
  }

  private portFor(target: IpText): Promise<TunnelDatagramSocket> {
    const source = sourceAddressFor(this.options.report(), target);
    const family = isIPv6(target) ? 6 : 4;
    const key = source ?? String(family);
    const known = this.ports.get(key);
    if (known !== undefined) return known;
    const opened = this.openPort(source === undefined ? { family } : { address: source }, key);
    this.ports.set(key, opened);
    opened.catch(() => this.ports.delete(key));
    return opened;
  }

  private async openPort(
    where: { readonly address: IpText } | { readonly family: 4 | 6 },
    key: string,
  ): Promise<TunnelDatagramSocket> {
    const { attachment, onMessage, onUnreachable } = this.options;
    const port = await udpSocketBestWay(await attachment(), where);
    if (this.closed) port.close();
    port.on('error', () => {});
    port.once('close', () => this.ports.delete(key));
    port.on('message', (bytes, from) => {
      if (!this.closed) onMessage(bytes, from);
    });
    port.on('unreachable', peer => {
      if (!this.closed) onUnreachable?.(peer);
    });
    return port;
  }

  /** Closes them all. */
  close(): void {
    this.closed = true;
    for (const opening of this.ports.values())
      opening.then(
        port => port.close(),
        () => {},
      );
  }
}
