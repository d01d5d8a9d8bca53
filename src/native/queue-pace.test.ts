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
    return { acknowledgedBytes, shortestRoundTripMs, roundTripMs, isBulk: true };
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
