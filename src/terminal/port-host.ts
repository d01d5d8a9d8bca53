import type { Attachment } from '../session/attachment.ts';
import type { IpText } from '../wire/ip.ts';
import type { Datagram } from '../wire/messages/binary.ts';
import type { EventOf, PortEvent } from '../wire/messages/event.ts';
import type { CommandQueue } from './command-queue.ts';
import type { PortRoutes } from './port-routes.ts';
import type { TunnelError } from './tunnel-error.ts';
import type { SocketResources } from './tunnel-socket.ts';

/** Who wants to know what happens on one port. */
export interface PortWatcher {
  /** A LAN system has connected; its stream must be accepted or refused now (P3.8). */
  onConnected?(event: EventOf<'connected'>): void;
  onDatagram?(datagram: Datagram): void;
  /** Something has happened on the port, other than a connection. */
  onEvent?(event: PortEvent): void;
  /** The attachment is over, and the port with it. */
  onClosed(error: TunnelError): void;
}

/** What ports, sockets and listeners need of their attachment. */
export interface PortHost extends SocketResources {
  readonly session: Attachment;
  readonly commands: CommandQueue;
  /** The redirected ports, and the way of every datagram. */
  readonly routes: PortRoutes;
  /** Tells `watcher` of port `id`, until the returned function is called or the attachment is over. */
  watchPort(id: number, watcher: PortWatcher): () => void;
  /**
   * The addresses of a name as the mediator sees it, at least one.
   * @throws TunnelError `no-such-name`, and what a QUERY may be answered with
   */
  resolve(name: string, signal?: AbortSignal): Promise<readonly [IpText, ...IpText[]]>;
}
