import type { Clock } from '../base/clock.ts';

/**
 * A member's own pace on label 0 is half of what P1.6 allows: what it sent evenly may arrive in one go when the path
 * stalls for a few seconds in between.
 */
const burstBytes = 256 * 1024;
const bytesPerSecond = 32 * 1024;

/** Holds frames of label 0 back as long as P1.6 asks, in order. */
export class LinkPacer {
  private readonly clock: Clock;
  private readonly write: (frame: Buffer) => void;
  private readonly waiting: Buffer[] = [];
  private heldBytes = 0;
  private allowedBytes = burstBytes;
  private atMs: number;
  private cancelTimer: (() => void) | undefined;

  /** `write` is called with each frame when it may go. */
  constructor(clock: Clock, write: (frame: Buffer) => void) {
    this.clock = clock;
    this.write = write;
    this.atMs = clock.now();
  }

  /** Bytes that are held back. */
  get waitingBytes(): number {
    return this.heldBytes;
  }

  /** Writes `frame` when its turn has come. */
  send(frame: Buffer): void {
    this.waiting.push(frame);
    this.heldBytes += frame.length;
    this.release();
  }

  /** A frame that may not wait was written; the others wait for it too. */
  spend(frameBytes: number): void {
    this.allowedBytes -= frameBytes;
  }

  /** Nothing is written any more. */
  stop(): void {
    this.cancelTimer?.();
    this.waiting.length = 0;
    this.heldBytes = 0;
  }

  private release(): void {
    this.refill();
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      if (next.length > this.allowedBytes) return this.wait(next.length - this.allowedBytes);
      this.waiting.shift();
      this.heldBytes -= next.length;
      this.allowedBytes -= next.length;
      this.write(next);
    }
  }

  private refill(): void {
    const nowMs = this.clock.now();
    const earned = ((nowMs - this.atMs) * bytesPerSecond) / 1000;
    this.allowedBytes = Math.min(burstBytes, this.allowedBytes + earned);
    this.atMs = nowMs;
  }

  private wait(missingBytes: number): void {
    if (this.cancelTimer !== undefined) return;
    this.cancelTimer = this.clock.after((missingBytes * 1000) / bytesPerSecond, () => {
      this.cancelTimer = undefined;
      this.release();
    });
  }
}
