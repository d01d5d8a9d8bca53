import { EventEmitter } from 'node:events';
import type { ErrorCode } from '../base/errors.ts';
import type { IpText } from '../wire/ip.ts';
import type { EventOf } from '../wire/messages/event.ts';
import { callOut } from './call-out.ts';
import { commandTimeoutMs } from './command-queue.ts';
import type { PortHost } from './port-host.ts';
import type { TunnelError } from './tunnel-error.ts';
import { TunnelSocket } from './tunnel-socket.ts';

/** How a port listens. */
export interface ListenOptions {
  /** Connections that the mediator may hold for this terminal at once (P4.7). */
  readonly backlog?: number;
  /** Goes on accepting while this terminal is away (P4.7). */
  readonly whileAway?: boolean;
  /** Of the accepted sockets: true keeps them open when the device has ended its half. As net.createServer has it. */
  readonly allowHalfOpen?: boolean;
  readonly signal?: AbortSignal;
}

/** A connection that was refused here, as net.Server's 'drop' tells it. */
export interface DroppedConnection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The events of a {@link TunnelServer}. */
export interface TunnelServerEvents {
  connection: [socket: TunnelSocket];
  listening: [];
  drop: [connection: DroppedConnection];
  error: [error: Error];
  close: [];
  newListener: [event: string | symbol];
}

/** First window of every accepted stream: what any stream gets at the least (P3.3). The rest is announced when it is there. */
const listenLimitBytes = 4096;

/** The address that a {@link TunnelServer} listens on. */
export interface ListenAddress {
  readonly address: IpText;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
}

/**
 * A port of the mediator that listens, with the manners of net.Server. Connections that come before there is a listener
 * for 'connection' wait for it. When the attachment fails: 'error', then 'close'.
 *
 * To feed an http.Server: `server.on('connection', socket => httpServer.emit('connection', socket))`, with
 * `allowHalfOpen: true`, and `httpServer.emit('listening')` once, without which it checks none of its time-outs.
 */
export class TunnelServer extends EventEmitter<TunnelServerEvents> {
  /** More connections than this at once are refused; undefined: as many as there is memory for. */
  maxConnections: number | undefined;
  private readonly host: PortHost;
  private readonly id: number;
  private readonly at: ListenAddress;
  private readonly allowHalfOpen: boolean;
  private readonly sockets = new Set<TunnelSocket>();
  private early: TunnelSocket[] = [];
  private unwatch: () => void = () => {};
  private phase: 'listening' | 'closing' | 'closed' = 'listening';

  /** Use {@link listenOn}. */
  constructor(host: PortHost, id: number, at: ListenAddress, allowHalfOpen: boolean) {
    super();
    this.host = host;
    this.id = id;
    this.at = at;
    this.allowHalfOpen = allowHalfOpen;
    this.on('newListener', event => {
      if (event === 'connection') process.nextTick(() => this.giveEarly());
    });
  }

  /** From now on connections are taken. */
  watch(): void {
    this.unwatch = this.host.watchPort(this.id, {
      onConnected: event => this.onConnected(event),
      onClosed: error => this.onAttachmentClosed(error),
    });
  }

  private onConnected(event: EventOf<'connected'>): void {
    if (this.phase !== 'listening') return this.host.session.refuseStream(event.stream, 'port-closed');
    if (this.maxConnections !== undefined && this.sockets.size >= this.maxConnections)
      return this.drop(event, 'limit');
    const accepted = this.host.session.acceptStream(event.stream, event.limit, listenLimitBytes);
    if (accepted === undefined) return this.drop(event, 'limit');
    const socket = new TunnelSocket(this.host, { allowHalfOpen: this.allowHalfOpen }, plug => {
      plug.begin(accepted.stream, true);
      plug.connected(this.endsOf(event), false);
    });
    this.sockets.add(socket);
    socket.once('close', () => this.onSocketClosed(socket));
    this.give(socket);
  }

  private endsOf(event: EventOf<'connected'>): DroppedConnection {
    return {
      remoteAddress: event.peerAddress,
      remotePort: event.peerNumber,
      localAddress: event.localAddress,
      localPort: this.at.port,
    };
  }

  private drop(event: EventOf<'connected'>, code: ErrorCode): void {
    this.host.session.refuseStream(event.stream, code);
    callOut(() => this.emit('drop', this.endsOf(event)));
  }

  private give(socket: TunnelSocket): void {
    if (this.listenerCount('connection') === 0) this.early.push(socket);
    else callOut(() => this.emit('connection', socket));
  }

  private giveEarly(): void {
    const { early } = this;
    this.early = [];
    for (const socket of early) this.emit('connection', socket);
  }

  private onSocketClosed(socket: TunnelSocket): void {
    this.sockets.delete(socket);
    if (this.phase === 'closing') this.closeWhenEmpty();
  }

  /** True until {@link close} is called or the attachment ends. */
  get listening(): boolean {
    return this.phase === 'listening';
  }

  /** The mediator's address and number, or null when it listens no more. */
  address(): ListenAddress | null {
    return this.phase === 'closed' ? null : this.at;
  }

  /** As net.Server: the number of connections that are open. */
  getConnections(callback: (error: Error | null, count: number) => void): void {
    process.nextTick(callback, null, this.sockets.size);
  }

  /** Accepts no more; 'close' comes when the connections there are have ended. */
  close(callback?: (error?: Error) => void): this {
    if (callback !== undefined) this.once('close', callback);
    if (this.phase !== 'listening') return this;
    this.phase = 'closing';
    for (const socket of this.early) socket.resetAndDestroy();
    this.early = [];
    const command = { verb: 'close', port: this.id, streams: 'drain' } as const;
    const { result } = this.host.commands.run(() => ({ command }), { timeoutMs: commandTimeoutMs });
    result.then(
      () => this.closeWhenEmpty(),
      () => this.closeWhenEmpty(),
    );
    return this;
  }

  private closeWhenEmpty(): void {
    if (this.phase === 'closing' && this.sockets.size === 0) this.finish();
  }

  private finish(): void {
    this.phase = 'closed';
    this.unwatch();
    callOut(() => this.emit('close'));
  }

  /** Who has detached itself is not told that this went wrong. */
  private onAttachmentClosed(error: TunnelError): void {
    if (this.phase === 'closed') return;
    const isFailure = this.phase === 'listening' && error.reason !== 'detached';
    this.phase = 'closed';
    this.unwatch();
    process.nextTick(() => {
      if (isFailure) this.emit('error', error);
      this.emit('close');
    });
  }

  /** Of net.Server: the link decides whether the process lives. */
  ref(): this {
    return this;
  }

  /** Of net.Server, as {@link ref}. */
  unref(): this {
    return this;
  }
}

/** A port that is to listen. */
export interface ListenRequest extends ListenOptions {
  readonly id: number;
  readonly at: ListenAddress;
}

/**
 * Makes a port listen.
 * @throws TunnelError `not-permitted`, `wrong-state`, `limit`, ...
 */
export async function listenOn(host: PortHost, request: ListenRequest): Promise<TunnelServer> {
  const { id, at, backlog = 16, whileAway = true, allowHalfOpen = false, signal } = request;
  const server = new TunnelServer(host, id, at, allowHalfOpen);
  const command = { verb: 'listen', port: id, backlog, whileAway, limit: listenLimitBytes } as const;
  await host.commands.run(() => ({ command }), {
    timeoutMs: commandTimeoutMs,
    signal,
    onAnswer: () => server.watch(),
    onLate: () => void host.commands.run(() => ({ command: { verb: 'close', port: id, streams: 'reset' } })),
  }).result;
  process.nextTick(() => server.emit('listening'));
  return server;
}
