import type { TcpInfo } from './addon.ts';

/**
 * Bounds what a burst may make BBR believe (P2.1). A line that a token bucket limits, as providers' are, lets some packets
 * pass at once after a pause; a few acknowledgements then come ten times as fast as the line goes on. BBR takes that for the line's
 * rate for ten round trips, and fills a short queue with packets that are dropped: a third of all, on 100 Mbit/s with 10 ms of
 * queue. So while bulk fills a link, the kernel is told to send at most a quarter more than has arrived lately
 * (SO_MAX_PACING_RATE): enough for BBR to find out that there is more.
 *
 * Measured over spans of 100 ms and more, in which so much has arrived that it was bulk, and nearly always something was under way.
 * Any other span sets the kernel free, whatever was measured before: a line that was bad is not slow once it is good.
 */

const spanMs = 100;
const spanBytes = 128 * 1024;
const longestSpanMs = 1_000;
const leastBusyShare = 0.8;

/** Of the last so many spans the fastest counts. */
const spans = 5;

const headroom = 1.25;

/** Bytes a second. On faster paths a queue passes in no time, and the processor is what is slow. */
const mostBytesPerSecond = 100e6;

/** See the head of this file; one for each connection. Times are monotonic milliseconds. */
export class PaceGuard {
  private readonly set: (bytesPerSecond: number | undefined) => void;
  private startMs = Number.NEGATIVE_INFINITY;
  private startBytes = 0;
  private startBusyUs = 0;
  private rates: number[] = [];
  private bounded = false;

  /** `set` is called with what the kernel is not to exceed, in bytes a second; undefined: with nothing. */
  constructor(set: (bytesPerSecond: number | undefined) => void) {
    this.set = set;
  }

  /** What the kernel says at `nowMs`; each 100 ms while bytes leave. */
  onInfo({ bytesAcked, busyUs }: TcpInfo, nowMs: number): void {
    const elapsedMs = nowMs - this.startMs;
    const arrived = bytesAcked - this.startBytes;
    if (elapsedMs < spanMs || (arrived < spanBytes && elapsedMs <= longestSpanMs)) return;
    const busyMs = (busyUs - this.startBusyUs) / 1_000;
    this.startMs = nowMs;
    this.startBytes = bytesAcked;
    this.startBusyUs = busyUs;
    const rate = (arrived * 1_000) / elapsedMs;
    const isBulk = elapsedMs <= longestSpanMs && busyMs >= leastBusyShare * elapsedMs;
    if (!isBulk || rate > mostBytesPerSecond) return this.free();
    this.rates = [...this.rates.slice(1 - spans), rate];
    // The first span may have begun before the bulk did.
    if (this.rates.length > 1) this.bound(Math.round(headroom * Math.max(...this.rates)));
  }

  private bound(bytesPerSecond: number): void {
    this.bounded = true;
    this.set(bytesPerSecond);
  }

  private free(): void {
    this.rates = [];
    if (this.bounded) this.set(undefined);
    this.bounded = false;
  }
}
