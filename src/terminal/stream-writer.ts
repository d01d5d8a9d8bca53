import { type SlabPool, slabCapacity, slabHeadroom } from '../session/slab.ts';
import type { Stream } from '../session/stream.ts';

/** What a writer needs of its stream. */
export type WritableStream = Pick<Stream, 'roomBytes' | 'sendSlab'>;

/** From this size on a pooled slab is worth its place; what is smaller gets memory of its own size. */
const pooledFromBytes = 4096;

/**
 * Takes the application's buffers into a stream, as many bytes as it has room for, and waits with the rest (P3.2). Many
 * small buffers written together leave as few full frames.
 */
export class StreamWriter {
  private readonly stream: WritableStream;
  private readonly pool: SlabPool;
  private chunks: readonly Uint8Array[] = [];
  private index = 0;
  private offset = 0;
  private remaining = 0;
  private done: (() => void) | undefined;

  constructor(stream: WritableStream, pool: SlabPool) {
    this.stream = stream;
    this.pool = pool;
  }

  /** Takes `chunks`; `done` is called when the stream has them all. One write at a time. */
  write(chunks: readonly Uint8Array[], done: () => void): void {
    this.chunks = chunks;
    this.index = 0;
    this.offset = 0;
    this.remaining = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.done = done;
    this.resume();
  }

  /** The stream may have room again. */
  resume(): void {
    while (this.remaining > 0) {
      const size = Math.min(this.remaining, this.stream.roomBytes, slabCapacity);
      if (size === 0) return;
      this.sendNext(size);
    }
    const { done } = this;
    this.done = undefined;
    this.chunks = [];
    done?.();
  }

  private sendNext(size: number): void {
    const slab = size < pooledFromBytes ? Buffer.allocUnsafe(slabHeadroom + size) : this.pool.take();
    for (let filled = 0; filled < size; ) filled += this.copyInto(slab, slabHeadroom + filled, size - filled);
    this.remaining -= size;
    this.stream.sendSlab(slab, size);
  }

  /** Copies from the current chunk, at most `maxBytes`; returns how many. */
  private copyInto(slab: Buffer, at: number, maxBytes: number): number {
    const chunk = this.chunks[this.index] ?? new Uint8Array();
    const part = chunk.subarray(this.offset, this.offset + maxBytes);
    slab.set(part, at);
    this.offset += part.length;
    if (this.offset === chunk.length) {
      this.index++;
      this.offset = 0;
    }
    return part.length;
  }
}
