/**
 * A TCP connection that tells FIN from RST, always, and in order. One class, because the order of four things
 * matters and Node knows only two of them.
 *
 * What Node does not tell: on Node 20 and 22 a RST behind unread data shows as a clean 'end'; a socket that does
 * not read notices neither FIN nor RST; after a FIN was read, a RST is noticed by the next write only; a failing
 * write destroys the socket together with what the kernel still had for us.
 *
 * So the addon watches a second fd of the connection:
 *  - at 'end', SO_ERROR says whether it was a FIN;
 *  - the watch tells of FIN and RST while reading stands. If nothing is left to read, Node is made to read once,
 *    and its 'end' comes; else it comes in its place, when the owner reads on;
 *  - when Node has closed the connection because of an error, the rest is read from the second fd;
 *  - that fd is closed before a reset, or the RST would wait for it;
 *  - until the own FIN has gone, closing the connection is a RST: a process that is killed ends nothing cleanly.
 *
 *   reading ──FIN──► read-out ──own end──► closed        Told in this order, after all data:
 *      │                │                                onFin at most once, then onReset at most once,
 *      └──── RST ───────┴─► (salvaging ─►) over ─► closed    then onClose once.
 *
 * Without the addon only Node's own events count, with the gaps above.
 */
import type { Socket } from 'node:net';
import type { Disconnect, ErrnoName, NativeSockets } from './addon.ts';
import { errnoOf } from './errno.ts';
import { fdOf } from './fd-of.ts';
import type { SlabReader } from './slab-reader.ts';

/** What the owner of a {@link WatchedSocket} is told. */
export interface WatchedSocketHandlers {
  /** Bytes, when the socket has no {@link SlabReader}. */
  onData?(chunk: Uint8Array): void;
  /** What was written has left Node. */
  onDrain?(): void;
  /** The peer has ended its direction and all its bytes have been given. The own direction stays open. */
  onFin(): void;
  /** The connection is dead (RST, time-out); all bytes that had come before have been given. */
  onReset(errno: ErrnoName): void;
  /** Nothing more comes, the fd is closed. Without onFin before it the peer's direction did not end cleanly. */
  onClose(): void;
  /** The peer did this, told at once, perhaps before bytes that were sent earlier. Only with the addon. */
  onSeen?(seen: Disconnect): void;
}

/** What a {@link WatchedSocket} may be given beside the socket. */
export interface WatchedSocketOptions {
  /** Without it: reduced, see above. */
  readonly native?: NativeSockets | undefined;
  /** The same reader that the socket was made with, if it was. */
  readonly slabs?: SlabReader | undefined;
}

type Phase = 'reading' | 'read-out' | 'salvaging' | 'over' | 'closed';

const salvageChunkBytes = 65_536;

/** Owns a connected net.Socket from here on. Starts paused: call {@link WatchedSocket.resume}. */
export class WatchedSocket {
  /** For addresses, cork and counters. Not for pause, resume, end and destroy: those are this class's. */
  readonly socket: Socket;
  readonly #handlers: WatchedSocketHandlers;
  readonly #native: NativeSockets | undefined;
  readonly #slabs: SlabReader | undefined;
  #watch: number | undefined;
  #phase: Phase = 'reading';
  #paused = true;
  /** Why the connection is dead, as soon as anything says so. */
  #failure: ErrnoName | undefined;

  constructor(socket: Socket, handlers: WatchedSocketHandlers, options: WatchedSocketOptions = {}) {
    this.socket = socket;
    this.#handlers = handlers;
    this.#native = options.native;
    this.#slabs = options.slabs;
    socket.allowHalfOpen = true;
    socket.pause();
    if (this.#slabs === undefined) socket.on('data', chunk => this.#onData(chunk));
    socket.on('drain', () => this.#handlers.onDrain?.());
    socket.on('end', () => this.#onEnd());
    socket.on('error', error => {
      this.#failure ??= errnoOf(error);
    });
    socket.on('close', () => this.#onSocketClose());
    socket.on('finish', () => this.#onFd(fd => this.#native?.clearLinger(fd)));
    this.#onFd(fd => this.#native?.setLingerZero(fd));
    this.#startWatch();
  }

  /** Reads until {@link WatchedSocket.pause}. */
  resume(): void {
    this.#paused = false;
    if (this.#phase === 'salvaging') this.#salvageSoon();
    else this.socket.resume();
  }

  /** No more data after this returns; FIN and RST are still seen. */
  pause(): void {
    this.#paused = true;
    this.socket.pause();
  }

  /**
   * Queues bytes; `written` is called when they have left Node, or will not. False when the owner should wait for
   * onDrain. On a connection that is known to be dead the bytes are dropped: onReset or onClose follows.
   */
  write(bytes: Uint8Array, written?: () => void): boolean {
    if (this.#failure !== undefined || this.#phase === 'over' || this.#phase === 'closed') {
      if (written !== undefined) queueMicrotask(written);
      return false;
    }
    return this.socket.write(bytes, () => written?.());
  }

  /** Sends FIN after what is queued. The peer's direction stays open. */
  end(): void {
    this.#allowReuse();
    this.socket.end();
  }

  /** Sends RST now and drops what is queued and unread. Only onClose follows. */
  reset(): void {
    if (this.#phase === 'closed') return;
    const salvaging = this.#phase === 'salvaging';
    this.#phase = 'over';
    this.#closeWatch();
    this.#destroyWithReset();
    if (salvaging) this.#close();
  }

  #destroyWithReset(): void {
    const fd = fdOf(this.socket);
    // Node's own way is refused by libuv while an end() waits for its bytes to be sent.
    if (fd !== undefined && this.#native !== undefined && this.#native.setLingerZero(fd) === undefined)
      this.socket.destroy();
    else this.#resetAfterShutdown();
  }

  /** While its FIN is on the way to the kernel, libuv answers EINVAL and Node then never closes the fd. */
  #resetAfterShutdown(): void {
    const { socket } = this;
    if (!socket.writableEnded || socket.writableFinished || socket.writableLength > 0)
      socket.resetAndDestroy();
    else socket.once('finish', () => socket.resetAndDestroy());
  }

  #startWatch(): void {
    const fd = fdOf(this.socket);
    if (fd === undefined) return;
    const watch = this.#native?.watchDisconnect(fd, seen => this.#onSeen(seen));
    // Out of fds: go on as without the addon.
    if (typeof watch === 'number') this.#watch = watch;
  }

  #closeWatch(): void {
    if (this.#watch !== undefined) this.#native?.closeWatch(this.#watch);
    this.#watch = undefined;
  }

  /** The one reader of SO_ERROR: reading clears it. */
  #takeSocketError(): ErrnoName | undefined {
    const fd = this.#watch ?? fdOf(this.socket);
    return fd === undefined ? undefined : this.#native?.socketError(fd);
  }

  /** Our FIN may lead to TIME_WAIT, which must not block the number (native/sockets.cc). Not earlier: it would be shared. */
  #allowReuse(): void {
    this.#onFd(fd => this.#native?.setReuseAddress(fd, true));
  }

  #onFd(act: (fd: number) => unknown): void {
    const fd = fdOf(this.socket);
    if (fd !== undefined) act(fd);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#phase === 'reading') this.#handlers.onData?.(chunk);
  }

  #onSeen(seen: Disconnect): void {
    if (this.#phase !== 'reading' && this.#phase !== 'read-out') return;
    if (seen === 'reset') this.#failure ??= this.#takeSocketError() ?? 'ECONNRESET';
    // Who reads the error of a RST, takes it: if Node was first, the watch sees but a connection that is shut.
    this.#handlers.onSeen?.(this.#failure === undefined ? seen : 'reset');
    this.#settleSeen();
  }

  /** Lets what was seen take effect if nothing that was sent before it is left to read. */
  #settleSeen(): void {
    if (this.#phase === 'read-out' && this.#failure !== undefined) this.#abort(this.#failure);
    if (this.#phase === 'reading' && this.#unreadBytes() === 0) this.socket.resume();
  }

  #unreadBytes(): number {
    const inKernel = this.#watch === undefined ? 0 : this.#native?.unreadBytes(this.#watch);
    return this.socket.readableLength + (typeof inKernel === 'number' ? inKernel : 0);
  }

  #onEnd(): void {
    if (this.#phase !== 'reading') return;
    const failure = this.#failure ?? this.#takeSocketError();
    if (failure !== undefined) {
      this.#abort(failure);
    } else {
      this.#phase = 'read-out';
      this.#handlers.onFin();
    }
  }

  #abort(errno: ErrnoName): void {
    this.#phase = 'over';
    this.#closeWatch();
    this.#handlers.onReset(errno);
    this.socket.destroy();
  }

  #onSocketClose(): void {
    if (this.#phase === 'reading' && this.#failure !== undefined) {
      this.#phase = 'salvaging';
      this.#salvageSoon();
      return;
    }
    if (this.#phase === 'read-out' && this.#failure !== undefined) this.#abort(this.#failure);
    this.#close();
  }

  #close(): void {
    this.#closeWatch();
    this.#phase = 'closed';
    this.#handlers.onClose();
  }

  #salvageSoon(): void {
    setImmediate(() => this.#salvage());
  }

  /** One chunk of what the dead connection still had for us, first from Node's buffer, then from the kernel's. */
  #salvage(): void {
    if (this.#phase !== 'salvaging' || this.#paused) return;
    if (this.#giveBuffered() || this.#giveUnread()) {
      this.#salvageSoon();
    } else {
      this.#abort(this.#failure ?? 'ECONNRESET');
      this.#close();
    }
  }

  #giveBuffered(): boolean {
    const chunk: unknown = this.socket.read();
    if (!(chunk instanceof Uint8Array)) return false;
    this.#handlers.onData?.(chunk);
    return true;
  }

  #giveUnread(): boolean {
    if (this.#watch === undefined) return false;
    const buffer = this.#slabs?.nextBuffer() ?? new Uint8Array(salvageChunkBytes);
    const lengthBytes = this.#native?.readNow(this.#watch, buffer);
    if (typeof lengthBytes !== 'number' || lengthBytes === 0) return false;
    if (this.#slabs === undefined) this.#handlers.onData?.(buffer.subarray(0, lengthBytes));
    else this.#slabs.received(lengthBytes, buffer);
    return true;
  }
}
