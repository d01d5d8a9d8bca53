import { dataOffsetBytes, headerBytes, maxBodyBytes, maxDataBytes } from '../wire/spec.ts';

/**
 * Slabs: buffers that hold one DATA frame, with room for header and offset in front. Bytes are read from a socket (or
 * copied) straight behind that room, so a frame is written and kept for replay without ever being copied again.
 */

/** Room in front of the bytes. */
export const slabHeadroom = headerBytes + dataOffsetBytes;

/** Size of a full slab. */
export const slabBytes = headerBytes + maxBodyBytes;

/** The most stream bytes one slab carries. */
export const slabCapacity = maxDataBytes;

/** Below this a full slab would pin far more memory than it carries, so the bytes move to one of their own size. */
const worthASlabBytes = 4096;

const pooledSlabs = 256;

/** Full slabs for reuse. Only slabs that nothing refers to any more may come back. */
export class SlabPool {
  private readonly free: Buffer[] = [];

  /** A full slab; what is in it is arbitrary. */
  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(slabBytes);
  }

  /** Takes a slab back; small ones and those beyond the pool's size are left to the garbage collector. */
  give(slab: Buffer): void {
    if (slab.length === slabBytes && this.free.length < pooledSlabs) this.free.push(slab);
  }

  /** A slab with a copy of `bytes` (at most {@link slabCapacity}), full or of just the size. */
  copyOf(bytes: Uint8Array): Buffer {
    const slab =
      bytes.length < worthASlabBytes ? Buffer.allocUnsafe(slabHeadroom + bytes.length) : this.take();
    slab.set(bytes, slabHeadroom);
    return slab;
  }

  /** The same slab, or a smaller one with its `length` bytes when they are few. */
  fit(slab: Buffer, length: number): Buffer {
    if (length >= worthASlabBytes) return slab;
    const small = this.copyOf(slab.subarray(slabHeadroom, slabHeadroom + length));
    this.give(slab);
    return small;
  }
}
