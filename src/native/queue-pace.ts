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
 *      │      others fill it, and would take what we leave; or it vanishes     │
 *      └───────────────────────── eight times that rate, and still none ───────┘
 */

/** A queue is one that takes this long to pass, or this part of the shortest round trip: less is noise. */
const queueFloorMs = 3;
const queueShare = 0.1;
/** So many times what round trips differ from one another: a machine that is busy answers late now and then. */
const queueDeviations = 2;
/** A queue that is seen so often in a row is one. */
const queueLooks = 2;

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
/** A queue that is not shorter than it was so many looks ago does not go away. Long round trips are not looked at as often. */
const mostPatienceLooks = 16;
const leastPatienceLooks = 4;
const patienceMs = 5_000;
/** Shorter by so much is shorter. */
const shorterShare = 0.95;

/** Less than this may come and go by itself. */
const vanishedMs = 250;

const cruiseShare = 0.98;
const firstRise = 0.01;
const mostRise = 0.25;
/** So many times in a row no queue: the rise doubles. */
const risesUntilDoubled = 5;
const freeAgainTimes = 8;
/** A look that comes late rises by this at the most: whether that is too much is to be seen first. */
const mostRiseOfLook = 2;

/** Where the queue is not ours it is not looked at for this long; twice as long each time, up to the most. */
const firstLeaveMs = 10_000;
const mostLeaveMs = 300_000;

/** What the machine knows of a connection. Times in ms. */
export interface PaceSample {
  /** Bytes that the peer has acknowledged in all. */
  readonly acknowledgedBytes: number;
  readonly roundTripMs: number;
  /** How far the last ones were from that, at the mean. */
  readonly deviationMs: number;
  readonly shortestRoundTripMs: number;
  /** So much is under way, or waits for the kernel, that the queue may be ours. */
  readonly isBulk: boolean;
  /** After a timeout TCP sends as in the beginning: acknowledgements come as slowly as that, whatever the hop lets through. */
  readonly isBeginningAnew: boolean;
}

type Phase = { readonly name: 'free' } | Draining | Cruising;

interface Draining {
  readonly name: 'draining';
  /** Of the queue: as it was, and the shortest that it has been. */
  readonly queueMs: number;
  readonly shortestMs: number;
  /** Since that was. */
  readonly looks: number;
}

interface Cruising {
  readonly name: 'cruising';
  readonly rise: number;
  readonly rises: number;
}

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
    const { acknowledgedBytes, roundTripMs, deviationMs, shortestRoundTripMs } = sample;
    const { isBulk, isBeginningAnew } = sample;
    const intervalMs = Math.max(leastIntervalMs, roundTripsPerInterval * roundTripMs);
    const { last } = this;
    this.nextMs = nowMs + intervalMs;
    // Without an acknowledgement the round trip is that of before, too: where segments leave in heaps it comes seldom.
    if (acknowledgedBytes === last?.bytes) return;
    this.last = { atMs: nowMs, bytes: acknowledgedBytes };
    if (last === undefined) return;
    const elapsedMs = nowMs - last.atMs;
    const delivered = ((acknowledgedBytes - last.bytes) / elapsedMs) * 1000;
    const queueMs = roundTripMs - shortestRoundTripMs;
    const noiseMs = Math.max(queueFloorMs, queueShare * shortestRoundTripMs, queueDeviations * deviationMs);
    const isQueue = isBulk && queueMs > noiseMs;
    // After a pause the bytes of before are no rate of the hop; that no queue stands is true all the same.
    const isRate = elapsedMs <= 3 * intervalMs && !isBeginningAnew;
    if (!isRate && (isQueue || this.rate === undefined)) return;
    this.step(nowMs, { delivered, queueMs, isQueue, intervalMs, elapsedMs });
  }

  private step(nowMs: number, seen: Seen): void {
    const { phase } = this;
    this.queuesInARow = seen.isQueue ? this.queuesInARow + 1 : 0;
    switch (phase.name) {
      case 'free':
        if (this.queuesInARow >= queueLooks && nowMs >= this.leftAloneUntilMs) this.drain(seen, 0);
        return;
      case 'draining':
        if (this.hasVanished(phase, seen)) this.become(free, undefined);
        else if (!seen.isQueue) this.cruise();
        else this.goOnDraining(nowMs, phase, seen);
        return;
      case 'cruising':
        // What comes through is our own pace here, and in heaps: one look does not take more than half of the rate away.
        if (this.queuesInARow >= queueLooks) this.drain(seen, this.hopRate / 2);
        else if (seen.isQueue) return;
        else this.goFaster(phase, seen);
    }
  }

  private drain(seen: Seen, leastRate: number): void {
    const delivered = Math.max(seen.delivered, leastRate);
    const { queueMs } = seen;
    if (delivered < leastBytesPerSecond || delivered > mostBytesPerSecond)
      return this.become(free, undefined);
    this.hopRate = delivered;
    this.become({ name: 'draining', queueMs, shortestMs: queueMs, looks: 0 }, this.drainRate(seen));
  }

  /** A queue takes its time to pass: one that is gone sooner was of a path that is another now, and so was the rate. */
  private hasVanished({ queueMs }: Draining, seen: Seen): boolean {
    const drained = 1 - (this.rate ?? 0) / this.hopRate;
    return queueMs - seen.queueMs > Math.max(vanishedMs, 2 * drained * seen.elapsedMs);
  }

  private goOnDraining(nowMs: number, phase: Draining, seen: Seen): void {
    const isShorter = seen.queueMs < shorterShare * phase.shortestMs;
    if (!isShorter && phase.looks >= patienceLooks(seen.intervalMs)) return this.leaveAlone(nowMs);
    const shortestMs = isShorter ? seen.queueMs : phase.shortestMs;
    // While the queue goes away what comes through is our own pace; only above it does it tell of the hop.
    if (!isShorter || seen.delivered > this.hopRate)
      this.hopRate += newestShare * (seen.delivered - this.hopRate);
    if (this.hopRate < leastBytesPerSecond) return this.become(free, undefined);
    this.become(
      { name: 'draining', queueMs: seen.queueMs, shortestMs, looks: isShorter ? 0 : phase.looks + 1 },
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

  private goFaster(phase: Cruising, { delivered, elapsedMs, intervalMs }: Seen): void {
    const { rate = 0 } = this;
    // Nobody knows whether more would pass while there is not even that much.
    if (delivered < 0.8 * rate) return;
    let [next, faster] = [phase, rate];
    // A look that stands for several rises as they would have, within bounds.
    const looks = Math.max(1, Math.round(elapsedMs / intervalMs));
    for (let left = looks; left > 0 && faster < mostRiseOfLook * rate; left--) {
      faster *= 1 + next.rise;
      next = afterRise(next);
    }
    if (rate > freeAgainTimes * this.hopRate) this.become(free, undefined);
    else this.become(next, faster);
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

function patienceLooks(intervalMs: number): number {
  return Math.max(leastPatienceLooks, Math.min(mostPatienceLooks, patienceMs / intervalMs));
}

function afterRise({ rise, rises }: Cruising): Cruising {
  if (rises + 1 < risesUntilDoubled) return { name: 'cruising', rise, rises: rises + 1 };
  return { name: 'cruising', rise: Math.min(2 * rise, mostRise), rises: 0 };
}

/** What a sample says. */
interface Seen {
  /** Bytes a second that were acknowledged since the sample before. */
  readonly delivered: number;
  readonly queueMs: number;
  readonly isQueue: boolean;
  readonly intervalMs: number;
  /** Since the sample before; several intervals where nothing was acknowledged for that long. */
  readonly elapsedMs: number;
}
