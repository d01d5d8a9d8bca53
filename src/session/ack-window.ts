/** As much may always be under way (P8.2). */
const floorBytes = 64 * 1024;

/** A rate that was reached once is believed a little less with each measurement. */
const fading = 0.9;

/**
 * How much a side keeps unacknowledged that neither sees nor bounds what waits below it (P8.2): a socket without the
 * addon, a proxy. What is in there cannot be overtaken, and while it drains on a slow path nothing is heard: PINGs among
 * the data let the peer say how far it has come. Times are monotonic milliseconds.
 */
export class AckWindow {
  private acknowledged = 0;
  private askedAtBytes = 0;
  private measuredAtMs: number | undefined;
  private measuredBytes = 0;
  private bytesPerMs = 0;
  private leastRoundTripMs = Number.POSITIVE_INFINITY;

  /** max(64 KiB, 2 × rate × least round trip). */
  get limitBytes(): number {
    if (this.leastRoundTripMs === Number.POSITIVE_INFINITY) return floorBytes;
    return Math.max(floorBytes, 2 * this.bytesPerMs * this.leastRoundTripMs);
  }

  /** True when no more data may go, `writtenBytes` having gone in all. */
  isFull(writtenBytes: number): boolean {
    return writtenBytes - this.acknowledged >= this.limitBytes;
  }

  /** True when it is time to ask how far the peer has come. */
  wantsPing(writtenBytes: number): boolean {
    return writtenBytes - this.askedAtBytes >= this.limitBytes / 4;
  }

  /** A PING goes behind so many bytes. */
  onPing(writtenBytes: number): void {
    this.askedAtBytes = writtenBytes;
  }

  /** The round trip that a PING has measured. */
  onRoundTrip(ms: number): void {
    this.leastRoundTripMs = Math.min(this.leastRoundTripMs, Math.max(ms, 1));
  }

  /** The peer has had so many bytes in all. */
  onAcknowledged(totalBytes: number, nowMs: number): void {
    this.acknowledged = Math.max(this.acknowledged, totalBytes);
    const elapsedMs = nowMs - (this.measuredAtMs ?? nowMs);
    if (this.measuredAtMs !== undefined && elapsedMs < Math.min(this.leastRoundTripMs, 1_000)) return;
    const bytesPerMs = elapsedMs === 0 ? 0 : (this.acknowledged - this.measuredBytes) / elapsedMs;
    this.bytesPerMs = Math.max(bytesPerMs, this.bytesPerMs * fading);
    this.measuredAtMs = nowMs;
    this.measuredBytes = this.acknowledged;
  }
}
