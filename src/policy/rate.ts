/**
 * A token bucket: `burst` at once, `perSecond` in the long run. Knows no clock; every call says what time it is, on a
 * monotonic clock in milliseconds.
 */
export class TokenBucket {
  private readonly perSecond: number;
  private readonly burst: number;
  private tokens: number;
  private filledAtMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.tokens = burst;
    this.filledAtMs = nowMs;
  }

  /** Takes `count` tokens if they are there, all or none. */
  take(count: number, nowMs: number): boolean {
    this.fill(nowMs);
    if (this.tokens < count) return false;
    this.tokens -= count;
    return true;
  }

  /** Milliseconds until `count` tokens are there; 0 when they are, infinite when they never fit. */
  waitMs(count: number, nowMs: number): number {
    this.fill(nowMs);
    if (count > this.burst) return Number.POSITIVE_INFINITY;
    return (Math.max(0, count - this.tokens) / this.perSecond) * 1000;
  }

  private fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.filledAtMs);
    this.tokens = Math.min(this.burst, this.tokens + (elapsedMs / 1000) * this.perSecond);
    this.filledAtMs = Math.max(this.filledAtMs, nowMs);
  }
}
