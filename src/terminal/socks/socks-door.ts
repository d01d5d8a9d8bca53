/**
 * A local SOCKS5 server (RFC 1928, RFC 1929) whose CONNECT, BIND and UDP ASSOCIATE a mediator does; on the same number
 * an HTTP proxy for CONNECT. Any program that knows a proxy is a terminal by it: nothing but the grant says where to.
 *
 *   first byte 5 ─► methods ─► password ─► request ─┬─ CONNECT ─► socket joined with the mediator's
 *              4 ─► refused                         ├─ BIND ─► a listener there, its first connection joined
 *           else ─► Node's HTTP server              └─ UDP ASSOCIATE ─► ports there while the connection lasts
 */
import { EventEmitter, once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import type { AttachmentKeeper } from '../attachment-keeper.ts';
import type { Endpoint } from '../forward-tcp.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import { patientAttachment, refusalOf } from '../patient-source.ts';
import { resetSocket } from '../reset-socket.ts';
import { serveBind } from './bind-request.ts';
import { serveConnect } from './connect-request.ts';
import { answersFor } from './door-failure.ts';
import { type DoorPassword, isPassword } from './door-password.ts';
import { HttpProxy } from './http-proxy.ts';
import { SocketReader } from './socket-reader.ts';
import { endWith, type SocksClient } from './socks-client.ts';
import {
  parseGreeting,
  parsePassword,
  parseRequest,
  replyBytes,
  SocksFault,
  type SocksRequest,
  socksMethod,
  socksReply,
} from './socks-messages.ts';
import { serveUdpAssociate } from './udp-association.ts';

/** What a {@link SocksDoor} is opened with. */
export interface SocksOptions {
  readonly source: AttachmentKeeper;
  /** Local address (127.0.0.1 when absent) and number (any when absent or 0). */
  readonly listen: Partial<Endpoint>;
  /** What clients must know; undefined: whoever reaches the number may use it. */
  readonly password: DoorPassword | undefined;
}

/** The events of a {@link SocksDoor}. */
export interface SocksDoorEvents {
  /** A client could not be served. */
  refused: [
    refusal: { readonly client: Endpoint; readonly target: Endpoint | undefined; readonly error: Error },
  ];
  close: [];
}

/** How long a client may take to say what it wants. */
const handshakeMs = 10_000;

/** Reply of SOCKS4, which has no way to ask for a password (SOCKS4 protocol: 91 rejected). */
const socks4Rejected = Buffer.from([0, 91, 0, 0, 0, 0, 0, 0]);

/** See the head of this file. */
export class SocksDoor extends EventEmitter<SocksDoorEvents> {
  private readonly server: Server;
  private readonly options: SocksOptions;
  private readonly http: HttpProxy;
  private readonly sockets = new Set<Socket>();
  private readonly closing = new AbortController();
  private over = false;

  /** Use {@link openSocks}. `server` listens already, with allowHalfOpen. */
  constructor(server: Server, options: SocksOptions) {
    super();
    this.server = server;
    this.options = options;
    this.http = new HttpProxy({
      password: options.password,
      attachment: () => this.attachment(),
      refused: (client, target, error) => this.emit('refused', { client, target, error }),
      headersMs: handshakeMs,
    });
    server.on('connection', socket => void this.serve(socket));
    server.once('close', () => {
      this.over = true;
      this.emit('close');
    });
  }

  /** The local address and number. */
  address(): Endpoint {
    const { address, port } = this.server.address() as AddressInfo;
    return { host: address, port };
  }

  private async attachment(): Promise<MediatorAttachment> {
    const { source } = this.options;
    try {
      return await patientAttachment(source, this.closing.signal);
    } catch (thrown) {
      throw refusalOf(source, thrown);
    }
  }

  private async serve(socket: Socket): Promise<void> {
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    const stopWaiting = this.options.source.clock.after(handshakeMs, () => socket.destroy());
    socket.once('close', stopWaiting);
    const reader = new SocketReader(socket);
    try {
      const first = await reader.next(bytes => ({ value: bytes[0], bytes: 0 }));
      if (first !== 5) return this.serveOther(first, socket, reader, stopWaiting);
      const turnedAway = await this.authenticate(socket, reader);
      if (turnedAway !== undefined) return leave(socket, reader, turnedAway);
      const request = await reader.next(parseRequest);
      stopWaiting();
      await this.run({ socket, reader }, request);
    } catch (thrown) {
      if (!(thrown instanceof SocksFault)) throw thrown;
      socket.destroy();
    }
  }

  private serveOther(
    first: number | undefined,
    socket: Socket,
    reader: SocketReader,
    stop: () => void,
  ): void {
    if (first === 4) return leave(socket, reader, socks4Rejected);
    stop();
    reader.release();
    this.http.serve(socket);
  }

  /** What is said to a client that is turned away; undefined when it is not. @throws SocksFault */
  private async authenticate(socket: Socket, reader: SocketReader): Promise<Buffer | undefined> {
    const offered = await reader.next(parseGreeting);
    const { password } = this.options;
    const method = password === undefined ? socksMethod.none : socksMethod.password;
    if (!offered.includes(method)) return Buffer.from([5, socksMethod.noneAcceptable]);
    socket.write(Buffer.from([5, method]));
    if (password === undefined) return undefined;
    if (!isPassword(password, await reader.next(parsePassword))) return Buffer.from([1, 1]);
    socket.write(Buffer.from([1, 0]));
    return undefined;
  }

  private async run(client: SocksClient, { command, target }: SocksRequest): Promise<void> {
    const { socket, reader } = client;
    const commands = { 1: serveConnect, 2: serveBind, 3: serveUdpAssociate } as const;
    const serve = command === 1 || command === 2 || command === 3 ? commands[command] : undefined;
    const refuse = (code: number) => leave(socket, reader, replyBytes(code));
    if (serve === undefined) return refuse(socksReply.commandUnknown);
    if (target === undefined) return refuse(socksReply.addressUnknown);
    const from = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    try {
      const report = () => this.options.source.mediator?.report;
      await serve(client, target, { attachment: await this.attachment(), report });
    } catch (thrown) {
      const error = refusalOf(this.options.source, thrown);
      refuse(answersFor(error).socks);
      this.emit('refused', { client: from, target, error });
    }
  }

  /** Listens no more and resets what is open. */
  async close(): Promise<void> {
    this.closing.abort();
    this.server.close();
    this.http.close();
    for (const socket of this.sockets) resetSocket(socket);
    if (!this.over) await once(this.server, 'close');
  }
}

function leave(socket: Socket, reader: SocketReader, lastWords: Uint8Array): void {
  reader.release();
  endWith(socket, lastWords);
}

/**
 * Opens a local SOCKS5 server and HTTP proxy.
 * @throws Node's error of listening: EADDRINUSE, EACCES, EADDRNOTAVAIL
 */
export async function openSocks(options: SocksOptions): Promise<SocksDoor> {
  const { host = '127.0.0.1', port = 0 } = options.listen;
  const server = net.createServer({ allowHalfOpen: true });
  server.listen({ host, port });
  await once(server, 'listening');
  return new SocksDoor(server, options);
}
