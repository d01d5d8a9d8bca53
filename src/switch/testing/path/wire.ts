import { ByteQueue } from '../../../transport/byte-queue.ts';
import type { Transport, TransportHandlers } from '../../../transport/transport.ts';

/**
 * Two transports joined by a network that moves bytes when told to, and that can be cut behind any byte. What an end has
 * written waits in it (its backlog) until the network has room; what the network has arrives, is lost by a cut, or is late,
 * after its sender is dead.
 */

const serverPin = Buffer.alloc(32, 7);
const keyingMaterial = Buffer.alloc(32, 9);

/** One end of a {@link ModelWire}. */
export class WireEnd implements Transport {
  readonly remote: string;
  readonly serverPin = serverPin;
  readonly alpn = undefined;
  private readonly capacityBytes: number;
  private twin: WireEnd | undefined;
  private handlers: TransportHandlers | undefined;
  private readonly outbox = new ByteQueue();
  private readonly network = new ByteQueue();
  private closed = false;
  private cutOff = false;

  constructor(remote: string, capacityBytes: number) {
    this.remote = remote;
    this.capacityBytes = capacityBytes;
  }

  /** Makes the two ends a pair. */
  join(twin: WireEnd): void {
    this.twin = twin;
    twin.twin = this;
  }

  get backlogBytes(): number {
    return this.outbox.bytes;
  }

  /** Bytes that this end has sent and that have not arrived. */
  get underWayBytes(): number {
    return this.network.bytes;
  }

  exportKeyingMaterial(): Buffer {
    return keyingMaterial;
  }

  /** What waits is all counted. */
  readonly hidesBacklog = false;

  unsentBytes(): undefined {
    return undefined;
  }

  pathFacts(): undefined {
    return undefined;
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
  }

  write(bytes: Buffer): void {
    if (this.closed) return;
    this.outbox.push(bytes);
    this.fill(this.capacityBytes);
  }

  /** Bytes leave the process; its buffers may be used again, so they are copied here. */
  private fill(capacityBytes: number): boolean {
    const before = this.outbox.bytes;
    while (!this.cutOff && this.outbox.bytes > 0 && this.network.bytes < capacityBytes)
      this.network.push(Buffer.from(this.outbox.take(capacityBytes - this.network.bytes)));
    return this.outbox.bytes < before;
  }

  end(): void {
    this.fill(Number.POSITIVE_INFINITY);
    this.destroy();
  }

  destroy(cause?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.outbox.clear();
    queueMicrotask(() => this.tellClosed(cause));
  }

  private tellClosed(cause: Error | undefined): void {
    const { handlers } = this;
    this.handlers = undefined;
    handlers?.onClosed(cause);
  }

  /** The process of this end is gone: it is told nothing any more, and what the network has still arrives. */
  die(): void {
    this.closed = true;
    this.handlers = undefined;
    this.outbox.clear();
  }

  /** Up to `maxBytes` arrive at the other end; how many did. What comes behind the last is the end. */
  arrive(maxBytes: number): number {
    let moved = 0;
    while (moved < maxBytes && this.network.bytes > 0) {
      const piece = this.network.take(maxBytes - moved);
      moved += piece.length;
      this.twin?.take(piece);
    }
    if (this.fill(this.capacityBytes) && !this.closed) this.handlers?.onDrain();
    if (this.closed && !this.cutOff && this.network.bytes === 0)
      this.twin?.destroy(new Error('the peer is gone'));
    return moved;
  }

  private take(piece: Buffer): void {
    if (!this.closed) this.handlers?.onBytes(piece);
  }

  /** Nothing passes any more but the first `keptBytes` of what is under way. Neither end is told. */
  cut(keptBytes: number): void {
    this.cutOff = true;
    const kept = Buffer.concat(this.takeAll()).subarray(0, keptBytes);
    this.network.push(Buffer.from(kept));
  }

  private takeAll(): Buffer[] {
    const pieces: Buffer[] = [];
    while (this.network.bytes > 0) pieces.push(this.network.take(this.network.bytes));
    return pieces;
  }

  /** This end finds out that its connection is broken, if it is. */
  notice(): void {
    if (this.cutOff) this.destroy(new Error('the connection is cut'));
  }

  /** True when nothing is to arrive at the other end, not even the end. */
  get atRest(): boolean {
    if (this.outbox.bytes > 0 && !this.cutOff) return false;
    return this.network.bytes === 0 && (!this.closed || this.cutOff || this.twin?.closed === true);
  }

  /** True once nobody listens here any more. */
  get over(): boolean {
    return this.closed;
  }
}

/** See the head of this file. */
export class ModelWire {
  readonly member: WireEnd;
  readonly server: WireEnd;

  constructor(name: string, capacityBytes: number) {
    this.member = new WireEnd('model:server', capacityBytes);
    this.server = new WireEnd(name, capacityBytes);
    this.member.join(this.server);
  }

  /** Both directions, the member's first. */
  get ends(): readonly [WireEnd, WireEnd] {
    return [this.member, this.server];
  }

  /** As {@link WireEnd.cut}, both ways. */
  cut(keptOfMember: number, keptOfServer: number): void {
    this.member.cut(keptOfMember);
    this.server.cut(keptOfServer);
  }

  /** Nothing is to arrive at either end. */
  get atRest(): boolean {
    return this.ends.every(end => end.atRest);
  }

  /** Both ends have found out, or are gone, and nothing is under way. */
  get over(): boolean {
    return this.ends.every(end => end.over && end.underWayBytes === 0);
  }
}
