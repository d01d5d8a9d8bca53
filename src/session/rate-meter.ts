/** How long a measurement lasts, at least. */
const spanMs = 20;

/** Longer ones count only while bytes waited all the time: else the link had nothing to carry. */
const pauseMs = 200;

/** The backlog in front of TLS is what the link moves in this time (P2.1). */
const backlogMs = 2;

const floorBytes = 16 * 1024;
const ceilingBytes = 1024 * 1024;

/** How much may wait in front of TLS: clamp(2 ms of the link's rate, 16 KiB, 1 MiB), so that what is urgent overtakes (P2.1). */
export class RateMeter {
  private startMs: number | undefined;
  private startBytes = 0;
  private limit = 4 * floorBytes;
  private measured = 0;

  /** Bytes that may be written and not yet taken by the kernel. */
  get backlogLimitBytes(): number {
    return this.limit;
  }

  /** As last measured; 0 before. */
  get bytesPerMs(): number {
    return this.measured;
  }

  /** The kernel has taken `totalBytes` so far. `busySinceMs`: since when bytes have waited for it without a pause. */
  onTaken(totalBytes: number, nowMs: number, busySinceMs = Number.POSITIVE_INFINITY): void {
    if (this.startMs === undefined || (nowMs - this.startMs > pauseMs && busySinceMs > this.startMs)) {
      this.startMs = nowMs;
      this.startBytes = totalBytes;
      return;
    }
    const elapsedMs = nowMs - this.startMs;
    if (elapsedMs < spanMs) return;
    this.measured = (totalBytes - this.startBytes) / elapsedMs;
    const wanted = this.measured * backlogMs;
    this.limit = Math.min(Math.max((this.limit + wanted) / 2, floorBytes), ceilingBytes);
    this.startMs = nowMs;
    this.startBytes = totalBytes;
  }
}
