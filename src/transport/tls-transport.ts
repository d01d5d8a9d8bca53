import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { EntremiseError } from '../base/errors.ts';
import { asError, reportFault } from './fault.ts';
import type { PathFacts, SocketPath, Transport, TransportHandlers } from './transport.ts';

/**
 * A transport over a TLS socket of Node. Three things decide its speed (3 Gbit/s a link): TLS sits directly on the TCP
 * handle, a large `write` is one `socket.write` without a copy of ours, and nothing here is per byte. Small writes leave
 * together when the event loop turns: a record and a system call cost more than what is in them.
 *
 *     open ──end()──> ending ──'close'──> closed          onClosed is called on the way into `closed`, or from
 *       └──destroy(), 'end', 'error'──> destroyed ──'close'──┘                 start() when that comes later
 *
 * `'end'` means nothing: Node also gives it for a peer that was killed (P3.6). The socket is closed at once and what is
 * not sent is lost, as with every other loss of a link.
 */

/**
 * After `end()` a peer that takes nothing for this long is given up. Bytes that still move are waited for. The socket
 * is not closed with the last write: a close before the peer's own turns into a RST when anything arrives in between,
 * and that takes unsent bytes with it.
 */
const lingerMs = 10_000;

/** Bytes of a frame up to which it waits for others: below it a copy costs less than a record and a system call of its own. */
const gatheredBytes = 4096;

/** A full record (RFC 8446 §5.1): more would not go as one. */
const recordBytes = 16 * 1024;

/**
 * Node's TLS has 1 KiB for what waits to be taken by the kernel, and when that is full takes 16 KiB more, for as long as the
 * connection lives. What an idle link says goes in pieces that fit: thousands of them cost a server a quarter less memory.
 */
const pieceBytes = 1000;
const mostPieces = 4;

/** Who says so often within a second what takes several pieces is not idle: each of them is a record and a system call. */
const mostSpared = 16;
const sparedWithinMs = 1000;

/** How often the path is read while bytes leave: who reads it looks after it (P2.1). */
const lookMs = 100;

/** What a {@link TlsTransport} is told about its socket. */
export interface TlsTransportDetails {
  /** Pin of the server's key, 32 bytes (P6.1). */
  readonly serverPin: Buffer;
  readonly clock: Clock;
  /** The socket's path, where the machine can be asked. */
  readonly path?: SocketPath | undefined;
}

/**
 * Sets socket options that Node does not know on a connected socket before it is used; answers its path, where
 * the machine can be asked. Asked twice for a link: once TCP is up, since on a line that loses packets TLS
 * is where most time goes, and for the socket that TLS has made of it.
 */
export type SocketTuner = (socket: Socket) => SocketPath | undefined;

/** `address:number` of the peer, IPv6 in brackets, IPv4 without its IPv6 mapping. */
export function remoteOf(address: string | undefined, number: number | undefined): string {
  const plain = (address ?? 'unknown').replace(/^::ffff:(?=\d+\.)/i, '');
  return `${plain.includes(':') ? `[${plain}]` : plain}:${number ?? 0}`;
}

/** See the head of this file. */
export class TlsTransport implements Transport {
  readonly remote: string;
  readonly serverPin: Buffer;
  readonly alpn: string | undefined;
  private readonly socket: TLSSocket;
  private readonly clock: Clock;
  private readonly path: SocketPath | undefined;
  private handlers: TransportHandlers | undefined;
  private phase: 'open' | 'ending' | 'destroyed' | 'closed' = 'open';
  private closeCause: Error | undefined;
  private drainQueued = false;
  private gathered: Buffer[] = [];
  private gatheredLength = 0;
  private flushTurn: NodeJS.Immediate | undefined;
  /** Nothing has been written yet that does not fit {@link mostPieces}, nor often what needs some of them. */
  private sparing = true;
  private spared = { sinceMs: 0, times: 0 };
  /** A piece is on its way, and the next waits for it. */
  private pieceUnderWay = false;
  private bypassing = false;
  private lookedAtMs = 0;
  private cancelLinger = () => {};

  /** Takes a socket whose handshake is complete and checked; it is the transport's from here on. */
  constructor(socket: TLSSocket, details: TlsTransportDetails) {
    this.socket = socket;
    this.clock = details.clock;
    this.path = details.path;
    this.serverPin = details.serverPin;
    this.remote = remoteOf(socket.remoteAddress, socket.remotePort);
    this.alpn =
      socket.alpnProtocol === false || socket.alpnProtocol === null ? undefined : socket.alpnProtocol;
    // A record that does not verify is an 'error' after which Node leaves the socket open.
    socket.on('error', error => this.destroy(error));
    socket.on('end', () => this.destroy());
    socket.on('close', () => this.closed());
  }

  get backlogBytes(): number {
    return this.socket.writableLength + this.gatheredLength;
  }

  get hidesBacklog(): boolean {
    return this.path === undefined;
  }

  unsentBytes(): number | undefined {
    return this.path?.unsentBytes();
  }

  pathFacts(): PathFacts | undefined {
    const facts = this.path?.read();
    if (facts === undefined || facts.outstanding || this.backlogBytes === 0) return facts;
    return { ...facts, outstanding: true };
  }

  exportKeyingMaterial(label: string, lengthBytes: number): Buffer {
    if (this.socket.destroyed) throw new EntremiseError('link-closed');
    // Without a context: an absent one and an empty one are the same in TLS 1.3 (RFC 8446 §7.5), the types want one.
    return this.socket.exportKeyingMaterial(lengthBytes, label, Buffer.alloc(0));
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
    if (this.phase === 'closed') process.nextTick(() => this.reportClosed());
    else this.socket.on('data', this.onData);
  }

  write(bytes: Buffer): void {
    if (this.phase !== 'open') return;
    const isSmall = bytes.length <= gatheredBytes;
    if (!isSmall || this.gatheredLength + bytes.length > recordBytes) this.flushAll();
    if (isSmall) this.gather(bytes);
    else this.socket.write(bytes, this.onWritten);
  }

  private gather(bytes: Buffer): void {
    this.flushTurn ??= setImmediate(this.flush);
    this.gathered.push(bytes);
    this.gatheredLength += bytes.length;
  }

  private readonly flush = (): void => {
    this.flushTurn = undefined;
    if (this.pieceUnderWay) return;
    if (this.gatheredLength > pieceBytes) this.sparing &&= this.maySpare();
    this.writePiece();
  };

  private writePiece(): void {
    const { gatheredLength } = this;
    this.sparing &&= gatheredLength <= pieceBytes * mostPieces;
    if (!this.sparing || gatheredLength <= pieceBytes) return this.flushAll();
    const whole = this.takeGathered();
    this.pieceUnderWay = true;
    this.socket.write(whole.subarray(0, pieceBytes), this.onPieceWritten);
    this.gathered.push(whole.subarray(pieceBytes));
    this.gatheredLength = whole.length - pieceBytes;
  }

  private maySpare(): boolean {
    const nowMs = this.clock.now();
    if (nowMs - this.spared.sinceMs > sparedWithinMs) this.spared = { sinceMs: nowMs, times: 0 };
    this.spared.times++;
    return this.spared.times <= mostSpared;
  }

  private readonly onPieceWritten = (): void => {
    this.pieceUnderWay = false;
    if (this.phase === 'open' && this.flushTurn === undefined) this.writePiece();
    this.onWritten();
  };

  private flushAll(): void {
    if (this.gatheredLength === 0) return;
    this.sparing &&= this.gatheredLength <= pieceBytes;
    this.socket.write(this.takeGathered(), this.onWritten);
  }

  private takeGathered(): Buffer {
    const { gathered, gatheredLength } = this;
    this.forgetGathered();
    const [first] = gathered;
    return gathered.length === 1 && first !== undefined ? first : Buffer.concat(gathered, gatheredLength);
  }

  private forgetGathered(): void {
    clearImmediate(this.flushTurn);
    this.flushTurn = undefined;
    this.gathered = [];
    this.gatheredLength = 0;
  }

  end(): void {
    if (this.phase !== 'open') return;
    this.flushAll();
    this.phase = 'ending';
    this.socket.end();
    this.linger();
  }

  destroy(cause?: Error): void {
    if (this.phase === 'destroyed' || this.phase === 'closed') return;
    this.phase = 'destroyed';
    this.forgetGathered();
    this.closeCause = cause;
    this.socket.destroy();
  }

  /** What came before start() has been given in order: from now on pieces need not go through the stream. */
  private readonly onData = (piece: Buffer): void => {
    this.onBytes(piece);
    if (!this.bypassing && this.socket.readableLength === 0) this.bypassStream();
  };

  /**
   * Node's stream spends a tick, a Map and three objects on a piece, a third of what a relay allocates. Its socket hands
   * pieces in by push(), so they are taken there; a Node that did not would still give them as 'data'.
   */
  private bypassStream(): void {
    this.bypassing = true;
    const { socket } = this;
    const push = socket.push.bind(socket);
    socket.push = (piece: Buffer | null) => {
      if (piece === null) return push(null);
      this.onBytes(piece);
      return true;
    };
  }

  private onBytes(piece: Buffer): void {
    // The stream empties its own buffer even after destroy().
    if (this.phase === 'destroyed') return;
    try {
      this.handlers?.onBytes(piece);
    } catch (thrown) {
      this.destroy(asError(thrown));
    }
  }

  /** Node calls this for every write of a batch in one go; one onDrain for all of them is enough. */
  private readonly onWritten = (): void => {
    if (this.drainQueued) return;
    this.drainQueued = true;
    process.nextTick(this.onDrain);
  };

  private readonly onDrain = (): void => {
    this.drainQueued = false;
    if (this.phase === 'destroyed' || this.phase === 'closed') return;
    this.look();
    try {
      this.handlers?.onDrain();
    } catch (thrown) {
      this.destroy(asError(thrown));
    }
  };

  /** Whoever reads the path looks after it, too. */
  private look(): void {
    const nowMs = this.clock.now();
    if (nowMs - this.lookedAtMs < lookMs) return;
    this.lookedAtMs = nowMs;
    this.path?.read();
  }

  private linger(): void {
    const before = this.backlogBytes;
    this.cancelLinger = this.clock.after(lingerMs, () => {
      if (this.backlogBytes < before) this.linger();
      else this.destroy();
    });
  }

  private closed(): void {
    this.phase = 'closed';
    this.cancelLinger();
    this.reportClosed();
  }

  private reportClosed(): void {
    const { handlers } = this;
    this.handlers = undefined;
    try {
      handlers?.onClosed(this.closeCause);
    } catch (thrown) {
      reportFault(thrown);
    }
  }
}
