import { EventEmitter, once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import type { AttachmentKeeper } from './attachment-keeper.ts';
import { joinSockets } from './join-sockets.ts';
import { patientAttachment, refusalOf } from './patient-source.ts';
import type { TunnelSocket } from './tunnel-socket.ts';

/** Where something is: an address or name, and a port number. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What is forwarded where. */
export interface ForwardOptions {
  readonly source: AttachmentKeeper;
  /** Local address (127.0.0.1 when absent) and number (any when absent or 0). */
  readonly listen: Partial<Endpoint>;
  /** As the mediator sees it; it resolves names. */
  readonly target: Endpoint;
}

/** The events of a forward. */
export interface ForwardEvents {
  /** A local client has been connected to the target. */
  connection: [connection: { readonly client: Endpoint; readonly socket: TunnelSocket }];
  /** A local client could not be served. */
  refused: [refusal: { readonly client: Endpoint; readonly error: Error }];
  close: [];
}

/** The default of local addresses: nobody else on the network. */
const loopback = '127.0.0.1';

/**
 * A local TCP port whose connections are made by a mediator (ssh -L). Half-close and RST are kept both ways; see
 * join-sockets.ts for what this machine shows of a RST. Goes on through lost attachments.
 */
export class TcpForward extends EventEmitter<ForwardEvents> {
  private readonly server: Server;
  private readonly options: ForwardOptions;
  private readonly waiting = new Set<Socket>();
  private readonly joined = new Set<TunnelSocket>();
  private readonly closing = new AbortController();

  /** Use {@link forwardTcp}. `server` listens already, with pauseOnConnect and allowHalfOpen. */
  constructor(server: Server, options: ForwardOptions) {
    super();
    this.server = server;
    this.options = options;
    server.on('connection', socket => void this.serve(socket));
  }

  /** The local address and number. */
  address(): Endpoint {
    const { address, port } = this.server.address() as AddressInfo;
    return { host: address, port };
  }

  private async serve(socket: Socket): Promise<void> {
    const client = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    this.waiting.add(socket);
    socket.on('error', () => {});
    try {
      const { source } = this.options;
      const attachment = source.current ?? (await patientAttachment(source, this.closing.signal));
      if (!socket.destroyed) this.connect(socket, client, attachment.connect(this.remoteOptions));
    } catch (thrown) {
      socket.resetAndDestroy();
      this.emit('refused', { client, error: refusalOf(this.options.source, thrown) });
    } finally {
      this.waiting.delete(socket);
    }
  }

  private get remoteOptions() {
    return { ...this.options.target, allowHalfOpen: true };
  }

  private connect(socket: Socket, client: Endpoint, remote: TunnelSocket): void {
    remote.once('connect', () => this.emit('connection', { client, socket: remote }));
    remote.on('error', error => {
      if (remote.pending) this.emit('refused', { client, error });
    });
    this.joined.add(remote);
    remote.once('close', () => this.joined.delete(remote));
    joinSockets(socket, remote);
  }

  /** Listens no more and resets what is open. */
  async close(): Promise<void> {
    this.closing.abort();
    this.server.close();
    for (const socket of this.waiting) socket.resetAndDestroy();
    for (const remote of this.joined) remote.resetAndDestroy();
    await once(this.server, 'close');
    this.emit('close');
  }
}

/**
 * Forwards a local TCP port.
 * @throws Node's error of listening: EADDRINUSE, EACCES, EADDRNOTAVAIL
 */
export async function forwardTcp(options: ForwardOptions): Promise<TcpForward> {
  const { host = loopback, port = 0 } = options.listen;
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen({ host, port });
  await once(server, 'listening');
  return new TcpForward(server, options);
}
