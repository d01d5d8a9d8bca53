/** What a stream has at least, and goes back to when it is idle (P3.3). */
export const floorBytes = 4 * 1024;

/**
 * Memory that is promised before it is used (P3.3): windows are reserved from one budget per process, replay shares
 * from another, so that whatever peers send or do not read, the sum is bounded.
 */
export class Budget {
  readonly totalBytes: number;
  private reserved = 0;

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }

  /** Bytes not promised to anyone. */
  get freeBytes(): number {
    return this.totalBytes - this.reserved;
  }

  /** What a new stream starts with: clamp(free / 512, 4 KiB, 64 KiB), or 0 when even the floor is not free (P3.3). */
  reserveInitial(): number {
    const size = Math.min(Math.max(Math.floor(this.freeBytes / 512), floorBytes), startCeilingBytes);
    return this.reserve(size) ? size : 0;
  }

  /** Promises `bytes`, or nothing and false when they are not free. */
  reserve(bytes: number): boolean {
    if (bytes > this.freeBytes) return false;
    this.reserved += bytes;
    return true;
  }

  /** Doubles a promise of `bytes` while half the budget is free (P3.3); returns the new size, the old one if not. */
  grow(bytes: number, ceilingBytes: number): number {
    const wanted = Math.min(bytes * 2, ceilingBytes);
    if (wanted <= bytes || this.freeBytes * 2 < this.totalBytes) return bytes;
    return this.reserve(wanted - bytes) ? wanted : bytes;
  }

  /** Gives a promise back. */
  release(bytes: number): void {
    this.reserved -= bytes;
  }
}

const startCeilingBytes = 64 * 1024;
