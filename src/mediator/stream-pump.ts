import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { ErrnoName, NativeSockets } from '../native/addon.ts';
import { fdOf } from '../native/fd-of.ts';
import { keepAlive } from '../native/socket-options.ts';
import { WatchedSocket } from '../native/watched-socket.ts';
import type { SlabPool } from '../session/slab.ts';
import type { Stream, StreamHandlers } from '../session/stream.ts';
import { canonicalIp } from '../wire/ip.ts';
import type { EventOf, PortEvent } from '../wire/messages/event.ts';
import type { CorkRound } from './cork.ts';
import { SlabFeed } from './slab-feed.ts';

/**
 * Couples a stream with a LAN connection (S12-S14, P3.5): bytes both ways within the stream's windows, FIN for FIN, RST
 * for RESET and RESET for RST, each in its place behind the bytes before it.
 *
 *   waiting --couple()--> coupled --> over
 *
 * While waiting (CONNECT is under way) what the terminal has sent already is kept, and written first. A stream that ends
 * by anything but two FINs ends the LAN connection with a RST: nothing that happens to a link looks like a clean end.
 */

/** What a pump needs. */
export interface PumpSurroundings {
  readonly native: NativeSockets | undefined;
  readonly clock: Clock;
  readonly pool: SlabPool;
  readonly cork: CorkRound;
  readonly usage: { paceMs(bytes: number, nowMs: number): number };
  sendEvent(event: PortEvent): void;
}

/** What the port of a pump is told. */
export interface PumpOwner {
  /** The stream is over, or will be as soon as its last bytes are sent; the connection is closed or about to be. Once. */
  onEnded(): void;
}

type End = Pick<EventOf<'fin' | 'rst'>, 'kind' | 'direction' | 'offset'>;

type Peer = Pick<EventOf<'fin' | 'rst'>, 'peerAddress' | 'peerNumber'>;

/** Undefined while there is no connection, and for one that has failed already. */
function peerOf({ remoteAddress, remotePort }: Socket): Peer {
  const peerAddress = canonicalIp(remoteAddress?.split('%')[0] ?? '');
  return peerAddress === undefined || remotePort === undefined ? {} : { peerAddress, peerNumber: remotePort };
}

/** A stream that is over for these reasons has nobody left to tell of it. */
const withoutAudience: ReadonlySet<ErrorCode> = new Set([
  'link-lost',
  'terminal-gone',
  'terminal-restarted',
  'detached',
]);

/** How long a device that reads slowly may hold up its RST. */
const resetPatienceMs = 1000;

/** See the head of this file. */
export class StreamPump implements StreamHandlers {
  readonly stream: Stream;
  /** What the socket must be made with. */
  readonly feed: SlabFeed;
  private readonly port: number;
  private readonly surroundings: PumpSurroundings;
  private readonly owner: PumpOwner;
  private phase: 'waiting' | 'coupled' | 'over' = 'waiting';
  private socket: WatchedSocket | undefined;
  private peer: Peer = {};
  private early: Buffer[] = [];
  private earlyFin = false;
  private devicesFin = false;
  private readonly toldOfDevice = new Set<'fin' | 'rst'>();
  private cancelPace: (() => void) | undefined;

  /** `feed`: the one that the socket was made with, when the socket was there first. */
  constructor(
    stream: Stream,
    port: number,
    surroundings: PumpSurroundings,
    owner: PumpOwner,
    feed = new SlabFeed(surroundings.pool),
  ) {
    this.stream = stream;
    this.port = port;
    this.surroundings = surroundings;
    this.owner = owner;
    this.feed = feed;
    stream.setHandlers(this);
  }

  /** True when stream and connection have parted. */
  get over(): boolean {
    return this.phase === 'over';
  }

  /** The connection is there: what came early is written, then both sides flow. */
  couple(socket: Socket): void {
    const { native } = this.surroundings;
    this.peer = peerOf(socket);
    socket.setNoDelay(true);
    keepAlive(native, socket);
    this.feed.start(this.stream, lengthBytes => this.onRead(lengthBytes));
    this.socket = new WatchedSocket(
      socket,
      {
        onFin: () => this.onDeviceFin(),
        onReset: errno => this.onDeviceReset(errno),
        onClose: () => this.onSocketClosed(),
        onSeen: seen => this.tellOfDevice(seen === 'fin' ? 'fin' : 'rst'),
      },
      { native, slabs: this.feed },
    );
    if (this.phase === 'over') return this.socket.reset();
    this.phase = 'coupled';
    this.writeEarly(this.socket);
    if (this.earlyFin) this.socket.end();
    this.readOn();
  }

  /** What has waited for the connection waits for nothing else: results and events of this turn leave behind it. */
  private writeEarly(socket: WatchedSocket): void {
    const { early } = this;
    this.early = [];
    socket.socket.cork();
    for (const bytes of early) this.put(socket, bytes);
    socket.socket.uncork();
  }

  /** Ends both sides: RESET with `code` to the terminal, RST to the device. The owner is told. */
  abort(code: ErrorCode): void {
    if (this.phase === 'over') return;
    this.stream.abort(code);
    this.end();
    this.resetDevice(code);
  }

  private resetDevice(code: ErrorCode): void {
    this.socket?.reset();
    if (this.socket === undefined || withoutAudience.has(code)) return;
    this.tell({ kind: 'rst', direction: 'to-device', offset: this.stream.receivedOffset });
  }

  private end(): void {
    this.phase = 'over';
    this.early = [];
    this.cancelPace?.();
    this.owner.onEnded();
  }

  private tell(end: End): void {
    const timeMs = this.surroundings.clock.wallTimeMs();
    this.surroundings.sendEvent({ ...end, ...this.peer, port: this.port, stream: this.stream.id, timeMs });
  }

  // From the terminal.

  /** Of {@link StreamHandlers}. */
  onData(bytes: Buffer): void {
    if (this.phase === 'waiting') this.early.push(bytes);
    else if (this.socket !== undefined) this.write(this.socket, bytes);
  }

  private write(socket: WatchedSocket, bytes: Buffer): void {
    this.surroundings.cork.hold(socket.socket);
    this.put(socket, bytes);
  }

  private put(socket: WatchedSocket, bytes: Buffer): void {
    socket.write(bytes, () => this.onWritten(bytes.length));
  }

  /** The window moves when bytes have left this process, and not faster than the grant's rate. */
  private onWritten(lengthBytes: number): void {
    const { usage, clock } = this.surroundings;
    const waitMs = usage.paceMs(lengthBytes, clock.now());
    if (waitMs <= 0) return this.stream.taken(lengthBytes);
    clock.after(waitMs, () => this.stream.taken(lengthBytes));
  }

  /** Of {@link StreamHandlers}. */
  onFin(): void {
    if (this.phase === 'over') return;
    this.earlyFin = true;
    this.socket?.end();
    this.tell({ kind: 'fin', direction: 'to-device', offset: this.stream.receivedOffset });
  }

  /** Of {@link StreamHandlers}. */
  onReset(code: ErrorCode): void {
    if (this.phase === 'over') return;
    this.end();
    this.resetDeviceBehindWritten(code);
  }

  /** The bytes before a RESET are the device's (P3.5): they go to the kernel first, unless it does not take them. */
  private resetDeviceBehindWritten(code: ErrorCode): void {
    const connection = this.socket?.socket;
    if (connection === undefined || connection.writableLength === 0) return this.resetDevice(code);
    this.socket?.pause();
    let done = false;
    const reset = () => {
      cancel();
      if (!done) this.resetDevice(code);
      done = true;
    };
    const cancel = this.surroundings.clock.after(resetPatienceMs, reset);
    if (connection.writableEnded) connection.once('finish', reset);
    else this.socket?.write(Buffer.alloc(0), reset);
  }

  /** Of {@link StreamHandlers}. */
  onRoom(): void {
    this.readOn();
  }

  /** Of {@link StreamHandlers}. */
  onFinished(): void {
    if (this.phase !== 'over') this.end();
  }

  // From the device.

  private readOn(): void {
    if (this.phase !== 'coupled' || this.cancelPace !== undefined) return;
    if (this.stream.roomBytes > 0) this.socket?.resume();
  }

  private onRead(lengthBytes: number): void {
    if (this.phase !== 'coupled') return;
    const { usage, clock } = this.surroundings;
    const waitMs = usage.paceMs(lengthBytes, clock.now());
    if (waitMs > 0) this.pace(waitMs);
    else if (this.stream.roomBytes === 0) this.socket?.pause();
  }

  private pace(waitMs: number): void {
    this.socket?.pause();
    this.cancelPace?.();
    this.cancelPace = this.surroundings.clock.after(waitMs, () => {
      this.cancelPace = undefined;
      this.readOn();
    });
  }

  /** Told as soon as it is known, perhaps before the bytes in front of it have been read (P3.7). */
  private tellOfDevice(kind: 'fin' | 'rst'): void {
    if (this.phase !== 'coupled' || this.toldOfDevice.has(kind)) return;
    this.toldOfDevice.add(kind);
    const offset = this.stream.sentOffset + this.unreadBytes();
    this.tell({ kind, direction: 'from-device', offset });
  }

  private unreadBytes(): number {
    const fd = this.socket === undefined ? undefined : fdOf(this.socket.socket);
    const unread = fd === undefined ? 0 : this.surroundings.native?.unreadBytes(fd);
    return typeof unread === 'number' ? unread : 0;
  }

  private onDeviceFin(): void {
    if (this.phase !== 'coupled') return;
    this.devicesFin = true;
    this.tellOfDevice('fin');
    this.stream.finish();
  }

  private onDeviceReset(errno: ErrnoName): void {
    if (this.phase !== 'coupled') return;
    this.tellOfDevice('rst');
    this.stream.abortAfterData(errno === 'ETIMEDOUT' ? 'timed-out' : 'peer-reset');
    this.end();
  }

  /** Closed, and the device never said FIN or RST: a connection that just went away did not end cleanly. */
  private onSocketClosed(): void {
    this.feed.close();
    if (!this.devicesFin) this.onDeviceReset('ECONNRESET');
  }
}
