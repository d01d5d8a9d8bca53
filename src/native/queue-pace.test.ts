import test from 'ava';
import { QueuePace } from './queue-pace.ts';

/** A hop of so many bytes a second with a queue that drops what it cannot hold, looked at each millisecond. */
class Hop {
  rate: number;
  /** Bytes a second of others, who send whatever is in their way. */
  others = 0;
  queued = 0;
  acknowledged = 0;
  private readonly shortestMs: number;
  private readonly holds: number;

  constructor(rate: number, { shortestMs, queueMs }: { shortestMs: number; queueMs: number }) {
    this.rate = rate;
    this.shortestMs = shortestMs;
    this.holds = (rate * queueMs) / 1000;
  }

  get queueMs(): number {
    return (this.queued / this.rate) * 1000;
  }

  get sample() {
    const { acknowledged: acknowledgedBytes, shortestMs: shortestRoundTripMs } = this;
    const roundTripMs = shortestRoundTripMs + this.queueMs;
    return {
      acknowledgedBytes,
      shortestRoundTripMs,
      roundTripMs,
      isBulk: true,
      deviationMs: 0,
      isBeginningAnew: false,
    };
  }

  millisecond(ours: number): void {
    const total = ours + this.others;
    const passed = Math.min(this.queued + total / 1000, this.rate / 1000);
    this.queued = Math.min(this.holds, this.queued + total / 1000 - passed);
    if (total > 0) this.acknowledged += (passed * ours) / total;
  }
}

/** A sender that TCP lets send a tenth more than the hop passes, unless it is told a pace. */
function run(hop: Hop, offered: (nowMs: number) => number = () => 1.1 * hop.rate) {
  let told: number | undefined;
  const pace = new QueuePace(rate => {
    told = rate;
  });
  let nowMs = 0;
  return {
    told: () => told,
    /** What passed, bytes a second, and what the queue was at the mean. */
    forMs(durationMs: number): { passed: number; queueMs: number } {
      const before = hop.acknowledged;
      let queues = 0;
      for (const end = nowMs + durationMs; nowMs < end; nowMs++) {
        hop.millisecond(Math.min(offered(nowMs), told ?? Number.POSITIVE_INFINITY));
        queues += hop.queueMs;
        if (pace.isDue(nowMs)) pace.sample(nowMs, hop.sample);
      }
      return { passed: ((hop.acknowledged - before) / durationMs) * 1000, queueMs: queues / durationMs };
    },
  };
}

for (const [what, rate, shortestMs, queueMs] of [
  ['100 Mbit/s with 5 ms', 12.5e6, 1, 5],
  ['2 Mbit/s uplink with half a second', 250e3, 30, 500],
  ['a long path', 2.5e6, 150, 200],
] as const)
  test(`P2.1: the queue of ${what} of it stays nearly empty under bulk, and the line nearly full`, t => {
    const hop = new Hop(rate, { shortestMs, queueMs });
    const bulk = run(hop);
    bulk.forMs(10_000);
    const { passed, queueMs: mean } = bulk.forMs(20_000);
    t.true(passed > 0.95 * rate, `${passed} of ${rate}`);
    t.true(mean < Math.max(3, 0.1 * shortestMs), `${mean} ms`);
  });

test('P2.1: where the line becomes four times faster, that is used within seconds', t => {
  const hop = new Hop(2.5e6, { shortestMs: 10, queueMs: 50 });
  const bulk = run(hop, () => 11e6);
  bulk.forMs(5_000);
  hop.rate = 10e6;
  bulk.forMs(5_000);
  t.true(bulk.forMs(5_000).passed > 9e6);
});

test('P2.1: a queue that others fill is left to them: nothing is held back for it', t => {
  const hop = new Hop(2.5e6, { shortestMs: 10, queueMs: 50 });
  const bulk = run(hop, () => 2.5e6);
  hop.others = 7.5e6;
  bulk.forMs(4_000);
  t.is(bulk.told(), undefined);
  const { passed } = bulk.forMs(9_000);
  t.true(passed > 0.9 * 0.625e6, `${passed}`);
});

test('P2.1: a flow that is not bulk is told no pace, however its round trips vary', t => {
  const told: unknown[] = [];
  const pace = new QueuePace(rate => told.push(rate));
  for (let at = 0; at < 1_000; at++)
    pace.sample(at * 60, {
      acknowledgedBytes: at * 9_000,
      roundTripMs: 20 + (at % 7) * 15,
      shortestRoundTripMs: 20,
      isBulk: false,
      deviationMs: 0,
      isBeginningAnew: false,
    });
  t.deepEqual(told, []);
});

test('P2.1: a link faster than 400 Mbit/s is left alone, and so is one that is slower than 16 kB/s', t => {
  for (const rate of [100e6, 10e3]) {
    const bulk = run(new Hop(rate, { shortestMs: 1, queueMs: 20 }));
    bulk.forMs(3_000);
    t.is(bulk.told(), undefined);
  }
});

test('P2.1: what comes while TCP begins anew after a timeout is not taken for the rate of the hop', t => {
  for (const isBeginningAnew of [true, false]) {
    let told: number | undefined;
    const pace = new QueuePace(rate => {
      told = rate;
    });
    for (let at = 0; at < 3; at++)
      pace.sample(at * 3_000, {
        acknowledgedBytes: at * 60_000,
        roundTripMs: 1_500,
        shortestRoundTripMs: 1,
        isBulk: true,
        deviationMs: 0,
        isBeginningAnew,
      });
    t.is(told === undefined, isBeginningAnew);
  }
});

test('P2.1: a round trip that has become longer for good slows bulk down for seconds only', t => {
  const hop = new Hop(1.25e6, { shortestMs: 1_500, queueMs: 10 });
  let told: number | undefined;
  const pace = new QueuePace(rate => {
    told = rate;
  });
  let slowMs = 0;
  for (let nowMs = 0; nowMs < 60_000; nowMs++) {
    hop.millisecond(Math.min(hop.rate, told ?? Number.POSITIVE_INFINITY));
    // The machine knows the shortest one of minutes ago.
    if (pace.isDue(nowMs)) pace.sample(nowMs, { ...hop.sample, shortestRoundTripMs: 20 });
    if (told !== undefined) slowMs++;
  }
  t.true(slowMs > 0 && slowMs < 36_000, `${slowMs} ms`);
});

test('P2.1: round trips that a busy machine makes longer now and then take no rate away', t => {
  let told: number | undefined;
  const pace = new QueuePace(rate => {
    told = rate;
  });
  let [at, acknowledgedBytes, roundTripMs, deviationMs] = [0, 0, 0, 0];
  const look = (sentBytes: number, measuredMs: number) => {
    acknowledgedBytes += sentBytes;
    deviationMs += (Math.abs(measuredMs - roundTripMs) - deviationMs) / 4;
    roundTripMs += (measuredMs - roundTripMs) / 8;
    const sample = { acknowledgedBytes, roundTripMs, deviationMs, shortestRoundTripMs: 1 };
    pace.sample(at * 50, { ...sample, isBulk: true, isBeginningAnew: false });
  };
  // A hop of 1 MB/s with a queue of 100 ms, and then one of 10 MB/s that has none.
  for (; at < 16; at++) look(50_000, 100);
  t.true((told ?? 10e6) <= 1e6, `${told} bytes a second`);
  for (; at < 500; at++) look(Math.min(told ?? 10e6, 10e6) / 20, at % 20 === 0 ? 80 : 1);
  t.true((told ?? 10e6) > 5e6, `${told} bytes a second`);
});

/** What waits in a kernel below this makes it take more, up to that. */
const takesBelow = 16_384;
const takesUpTo = 65_536;

/** A kernel under bulk without end, in front of a hop: it takes more, and is looked at, only when most of what it has is sent. */
class SeldomTaker {
  /** Of the hop, bytes a second, and its round trip. */
  hop = { rate: 12.5e6, roundTripMs: 1 };
  told: number | undefined;
  acknowledged = 0;
  private nowMs = 0;
  private readonly pace = new QueuePace(rate => {
    this.told = rate;
  });
  private readonly heapBytes: number;
  private waiting = takesUpTo;
  private allowed = 0;

  /** `heapBytes`: nothing leaves before so much may. */
  constructor(heapBytes: number) {
    this.heapBytes = heapBytes;
  }

  /** Gives what passed, bytes a second. */
  forMs(durationMs: number): number {
    const before = this.acknowledged;
    for (const end = this.nowMs + durationMs; this.nowMs < end; this.nowMs++) {
      this.allowed += Math.min(this.hop.rate, this.told ?? Number.POSITIVE_INFINITY) / 1000;
      if (this.allowed >= Math.min(this.heapBytes, this.waiting)) this.send();
      if (this.waiting < takesBelow) this.take();
    }
    return ((this.acknowledged - before) / durationMs) * 1000;
  }

  private send(): void {
    const sent = Math.min(this.waiting, this.allowed);
    this.allowed = 0;
    this.acknowledged += sent;
    this.waiting -= sent;
  }

  private take(): void {
    this.waiting = takesUpTo;
    if (!this.pace.isDue(this.nowMs)) return;
    const { acknowledged: acknowledgedBytes, told, hop } = this;
    const { roundTripMs } = hop;
    const isBulk = roundTripMs > 1 || told !== undefined;
    const steady = { shortestRoundTripMs: 1, deviationMs: 0, isBeginningAnew: false };
    this.pace.sample(this.nowMs, { acknowledgedBytes, roundTripMs, isBulk, ...steady });
  }
}

for (const [what, heapBytes] of [
  ['', 1],
  [', and leave in heaps of half of it', 32_768],
] as const)
  test(`P2.1: a pace of a line that was bad is gone seconds after it is good, though the kernel takes 48 KiB at once${what}`, t => {
    const bulk = new SeldomTaker(heapBytes);
    bulk.forMs(1_000);
    t.is(bulk.told, undefined);
    bulk.hop = { rate: 80_000, roundTripMs: 200 };
    bulk.forMs(3_000);
    t.true((bulk.told ?? Number.POSITIVE_INFINITY) <= 80_000);
    bulk.hop = { rate: 12.5e6, roundTripMs: 1 };
    bulk.forMs(9_000);
    const passed = bulk.forMs(1_000);
    t.true(passed > 10e6, `${passed} bytes a second`);
  });

test('P2.1: a pace ends where its queue vanishes sooner than a queue passes: the path is another one', t => {
  const bulk = new SeldomTaker(1);
  bulk.hop = { rate: 40_000, roundTripMs: 1_500 };
  bulk.forMs(15_000);
  t.not(bulk.told, undefined);
  bulk.hop = { rate: 12.5e6, roundTripMs: 1 };
  bulk.forMs(4_000);
  t.is(bulk.told, undefined);
});
