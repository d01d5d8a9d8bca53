import type { SlabReader } from '../native/slab-reader.ts';
import { type SlabPool, slabBytes, slabCapacity, slabHeadroom } from '../session/slab.ts';
import type { Stream } from '../session/stream.ts';

/**
 * Memory for what is read from a LAN socket. While much comes, a slab of its own: the bytes land where their DATA frame
 * will leave from, and are never copied. While little or nothing comes, one buffer that all sockets share and that is
 * copied from: a thousand idle streams then pin one buffer and not a thousand.
 *
 * Sharing is safe because a read and its `received` happen in one go, and nothing keeps the shared buffer after that.
 */

/** A read this large makes the next one go straight into a slab. */
const bulkBytes = 4096;

/** The least that is lent when there is no room, so that a read under way has somewhere to go. */
const leastLentBytes = 2048;

/** What every stream has room for at its start (P3.3): lent before the stream is known. */
const firstLentBytes = 4096;

const shared = Buffer.allocUnsafeSlow(slabCapacity);

/** See the head of this file. Reading must not begin before {@link SlabFeed.start}. */
export class SlabFeed implements SlabReader {
  private readonly pool: SlabPool;
  private stream: Stream | undefined;
  private slab: Buffer | undefined;
  private bulk = false;
  private onRead: (lengthBytes: number) => void = () => {};

  constructor(pool: SlabPool) {
    this.pool = pool;
  }

  /** From now on bytes go to `stream`, and `onRead` is called after each read. */
  start(stream: Stream, onRead: (lengthBytes: number) => void): void {
    this.stream = stream;
    this.onRead = onRead;
  }

  nextBuffer(): Uint8Array {
    const room = this.stream === undefined ? firstLentBytes : Math.max(this.stream.roomBytes, leastLentBytes);
    const lent = Math.min(room, slabCapacity);
    if (!this.bulk) return shared.subarray(0, lent);
    this.slab ??= this.pool.take();
    return this.slab.subarray(slabHeadroom, slabHeadroom + lent);
  }

  received(lengthBytes: number, buffer: Uint8Array): void {
    const { slab, stream } = this;
    const isOwn = slab !== undefined && buffer.buffer === slab.buffer;
    if (isOwn) this.slab = undefined;
    this.bulk = lengthBytes >= bulkBytes;
    if (stream !== undefined && !stream.ended) {
      const bytes = isOwn ? slab : this.pool.copyOf(shared.subarray(0, lengthBytes));
      stream.sendSlab(bytes, lengthBytes);
    }
    this.onRead(lengthBytes);
  }

  /** The socket is closed: what is lent comes back. */
  close(): void {
    if (this.slab?.length === slabBytes) this.pool.give(this.slab);
    this.slab = undefined;
    this.stream = undefined;
  }
}
