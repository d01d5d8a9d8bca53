/**
 * Keeps the queue of a link's narrowest hop short, so that what is urgent does not stand behind our own bulk there (P2.1).
 * Whoever sends as fast as TCP lets it keeps that queue full: each round trip waits in it, and what it drops holds up
 * everything behind it until it is sent again.
 *
 * While bulk fills the link, the round trip is looked at now and then. What it is longer than the shortest one is the
 * queue. Where one stands, acknowledgements come exactly as fast as the narrowest hop lets bytes through: that is its
 * rate, and the kernel is told to send a little slower (SO_MAX_PACING_RATE).
 *
 *                 a queue stands                       it is gone
 *     free ───────────────────────────► draining ─────────────────────► cruising
 *      ▲  ▲                              │     ▲                          │    │ no queue: a little faster each time,
 *      │  └── it does not go away: ──────┘     └──── a queue stands ──────┘    │ then faster and faster
 *      │      others fill it, and would take what we leave                     │
 *      └───────────────────────── eight times that rate, and still none ───────┘
 */

/** A queue is one that takes this long to pass, or this part of the shortest round trip: less is noise. */
const queueFloorMs = 3;
const queueShare = 0.1;

/** Looked at so often, and not before what was set last can have shown. */
const leastIntervalMs = 50;
const roundTripsPerInterval = 2;

/** Faster links have queues that pass in no time, and a round trip that says more of the processor than of the path. */
const mostBytesPerSecond = 50e6;

/** Below, TCP's few packets in flight are the queue, and no pace makes it shorter. */
const leastBytesPerSecond = 16e3;

/** What a queue of one interval is drained at, and the slowest. */
const drainShare = 0.9;
const slowestDrainShare = 0.5;
const drainIntervals = 8;
/** The rate of the hop is the mean of what was measured while a queue stood: the newest counts so much. */
const newestShare = 0.25;
/** A queue that is not shorter than it was so many looks ago does not go away. */
const patienceLooks = 16;
/** Shorter by so much is shorter. */
const shorterShare = 0.95;

const cruiseShare = 0.98;
const firstRise = 0.01;
const mostRise = 0.25;
/** So many times in a row no queue: the rise doubles. */
const risesUntilDoubled = 5;
const freeAgainTimes = 8;

/** Where the queue is not ours it is not looked at for this long; twice as long each time, up to the most. */
const firstLeaveMs = 10_000;
const mostLeaveMs = 300_000;

/** What the machine knows of a connection. Times in ms. */
export interface PaceSample {
  /** Bytes that the peer has acknowledged in all. */
  readonly acknowledgedBytes: number;
  readonly roundTripMs: number;
  readonly shortestRoundTripMs: number;
  /** So much is under way, or waits for the kernel, that the queue may be ours. */
  readonly isBulk: boolean;
}

type Phase =
  | { readonly name: 'free' }
  | { readonly name: 'draining'; readonly shortestMs: number; readonly looks: number }
  | { readonly name: 'cruising'; readonly rise: number; readonly rises: number };

const free: Phase = { name: 'free' };

/** See the head of this file. */
export class QueuePace {
  private readonly set: (bytesPerSecond: number | undefined) => void;
  private phase: Phase = free;
  /** What the kernel has been told; undefined: nothing. */
  private rate: number | undefined;
  /** Of the narrowest hop, as last measured. */
  private hopRate = 0;
  private last: { readonly atMs: number; readonly bytes: number } | undefined;
  private queuesInARow = 0;
  private leftAloneUntilMs = 0;
  private leaveMs = firstLeaveMs;
  private nextMs = 0;

  /** `set` is called with what the kernel is not to exceed, in bytes a second; undefined: with nothing. */
  constructor(set: (bytesPerSecond: number | undefined) => void) {
    this.set = set;
  }

  /** Whether {@link sample} wants to be called at that time: cheap, for each write. */
  isDue(nowMs: number): boolean {
    return nowMs >= this.nextMs;
  }

  /** What the machine knows now. */
  sample(nowMs: number, sample: PaceSample): void {
    const { acknowledgedBytes, roundTripMs, shortestRoundTripMs, isBulk } = sample;
    const intervalMs = Math.max(leastIntervalMs, roundTripsPerInterval * roundTripMs);
    const { last } = this;
    this.last = { atMs: nowMs, bytes: acknowledgedBytes };
    this.nextMs = nowMs + intervalMs;
    // After a pause the bytes of before say nothing of now.
    if (last === undefined || nowMs - last.atMs > 3 * intervalMs) return;
    const delivered = ((acknowledgedBytes - last.bytes) / (nowMs - last.atMs)) * 1000;
    const queueMs = roundTripMs - shortestRoundTripMs;
    const isQueue = isBulk && queueMs > Math.max(queueFloorMs, queueShare * shortestRoundTripMs);
    this.step(nowMs, { delivered, queueMs, isQueue, intervalMs });
  }

  private step(nowMs: number, seen: Seen): void {
    const { phase } = this;
    this.queuesInARow = seen.isQueue ? this.queuesInARow + 1 : 0;
    switch (phase.name) {
      case 'free':
        if (this.queuesInARow >= 2 && nowMs >= this.leftAloneUntilMs) this.drain(seen);
        return;
      case 'draining':
        if (!seen.isQueue) this.cruise();
        else this.goOnDraining(nowMs, phase, seen);
        return;
      case 'cruising':
        if (seen.isQueue) this.drain(seen);
        else this.goFaster(phase, seen.delivered);
    }
  }

  private drain(seen: Seen): void {
    const { delivered, queueMs } = seen;
    if (delivered < leastBytesPerSecond || delivered > mostBytesPerSecond)
      return this.become(free, undefined);
    this.hopRate = delivered;
    this.become({ name: 'draining', shortestMs: queueMs, looks: 0 }, this.drainRate(seen));
  }

  private goOnDraining(nowMs: number, phase: Phase & { readonly name: 'draining' }, seen: Seen): void {
    const isShorter = seen.queueMs < shorterShare * phase.shortestMs;
    if (!isShorter && phase.looks >= patienceLooks) return this.leaveAlone(nowMs);
    const shortestMs = isShorter ? seen.queueMs : phase.shortestMs;
    this.hopRate += newestShare * (seen.delivered - this.hopRate);
    this.become(
      { name: 'draining', shortestMs, looks: isShorter ? 0 : phase.looks + 1 },
      this.drainRate(seen),
    );
  }

  private drainRate({ queueMs, intervalMs }: Seen): number {
    const wanted = 1 - queueMs / (drainIntervals * intervalMs);
    return Math.max(slowestDrainShare, Math.min(drainShare, wanted)) * this.hopRate;
  }

  private cruise(): void {
    this.leaveMs = firstLeaveMs;
    this.become({ name: 'cruising', rise: firstRise, rises: 0 }, cruiseShare * this.hopRate);
  }

  private goFaster(phase: Phase & { readonly name: 'cruising' }, delivered: number): void {
    const { rate = 0 } = this;
    // Nobody knows whether more would pass while there is not even that much.
    if (delivered < 0.8 * rate) return;
    if (rate > freeAgainTimes * this.hopRate) return this.become(free, undefined);
    const doubled = phase.rises + 1 >= risesUntilDoubled;
    const rise = doubled ? Math.min(2 * phase.rise, mostRise) : phase.rise;
    this.become({ name: 'cruising', rise, rises: doubled ? 0 : phase.rises + 1 }, rate * (1 + phase.rise));
  }

  private leaveAlone(nowMs: number): void {
    this.leftAloneUntilMs = nowMs + this.leaveMs;
    this.leaveMs = Math.min(2 * this.leaveMs, mostLeaveMs);
    this.become(free, undefined);
  }

  private become(phase: Phase, rate: number | undefined): void {
    this.phase = phase;
    const changed = rate !== this.rate;
    this.rate = rate;
    if (changed) this.set(rate);
  }
}

/** What a sample says. */
interface Seen {
  /** Bytes a second that were acknowledged since the sample before. */
  readonly delivered: number;
  readonly queueMs: number;
  readonly isQueue: boolean;
  readonly intervalMs: number;
}
