import type { Clock } from '../../base/clock.ts';
import { TokenBucket } from '../../policy/rate.ts';

/**
 * Where a UDP port may send to (P5.9): what was asked about once is remembered while it is used. Denied destinations
 * are remembered too, or each of their datagrams would be asked about and leave an audit line of its own.
 */

/** Destinations that a port remembers. */
export const maxDestinations = 1024;

/** A destination not used for this long is forgotten. */
const idleMs = 5 * 60_000;

/** New destinations a second. */
const newPerSecond = 100;

interface Destination {
  readonly allowed: boolean;
  lastUsedMs: number;
}

/**
 * Whether a datagram may go. `too-fast`: not decided, there were too many new destinations. `undecided`: it could not
 * be found out (no audit line), and is asked about again next time.
 */
export type DestinationVerdict = 'allowed' | 'denied' | 'too-fast' | 'undecided';

/** See the head of this file. */
export class Destinations {
  private readonly clock: Clock;
  private readonly decide: (address: string, number: number) => 'allowed' | 'denied' | 'undecided';
  /** In the order of last use, the oldest first. */
  private readonly known = new Map<string, Destination>();
  private readonly rate: TokenBucket;

  /** `decide` asks and leaves the audit line. */
  constructor(clock: Clock, decide: (address: string, number: number) => 'allowed' | 'denied' | 'undecided') {
    this.clock = clock;
    this.decide = decide;
    this.rate = new TokenBucket(newPerSecond, newPerSecond, clock.now());
  }

  /** How many are remembered. */
  get size(): number {
    return this.known.size;
  }

  /** Whether a datagram to that destination may go. */
  verdict(address: string, number: number): DestinationVerdict {
    const nowMs = this.clock.now();
    const key = `${address}|${number}`;
    const before = this.known.get(key);
    this.known.delete(key);
    if (before !== undefined && nowMs - before.lastUsedMs < idleMs) {
      before.lastUsedMs = nowMs;
      this.known.set(key, before);
      return before.allowed ? 'allowed' : 'denied';
    }
    if (!this.rate.take(1, nowMs)) return 'too-fast';
    const decided = this.decide(address, number);
    if (decided !== 'undecided') this.remember(key, { allowed: decided === 'allowed', lastUsedMs: nowMs });
    return decided;
  }

  private remember(key: string, destination: Destination): void {
    const [oldest] = this.known.keys();
    if (this.known.size >= maxDestinations && oldest !== undefined) this.known.delete(oldest);
    this.known.set(key, destination);
  }

  /** What was decided may be wrong now: everything is asked about again. */
  clear(): void {
    this.known.clear();
  }
}
