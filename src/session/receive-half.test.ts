import test from 'ava';
import fc from 'fast-check';
import { Budget } from './budget.ts';
import { ReceiveHalf } from './receive-half.ts';
import { pattern } from './testing/frames.ts';

const kib = 1024;

interface HalfOptions {
  readonly window?: number;
  readonly announced?: number;
  readonly budgetBytes?: number;
}

function makeHalf(options: HalfOptions = {}) {
  const { window = 64 * kib, announced = window, budgetBytes = 32 * kib * kib } = options;
  const budget = new Budget(budgetBytes);
  budget.reserve(window);
  return { budget, half: new ReceiveHalf(budget, window, announced) };
}

test('P3.6: bytes that repeat are dropped, bytes that partly repeat are cut, in whatever pieces they come', t => {
  const { half } = makeHalf();
  const all = pattern(100);
  const come = (from: number, to: number) => half.onData(from, all.subarray(from, to), false);
  t.deepEqual(come(0, 10), all.subarray(0, 10));
  t.is(come(0, 10).length, 0);
  t.is(come(3, 7).length, 0);
  t.deepEqual(come(5, 20), all.subarray(10, 20));
  t.is(half.receivedBytes, 20);
});

test('P3.6: a gap is protocol-error, a byte beyond the window stream-limit', t => {
  const { half } = makeHalf({ window: 100 });
  t.throws(() => half.onData(1, pattern(1), false), { code: 'protocol-error' });
  t.is(half.onData(0, pattern(100), false).length, 100);
  t.throws(() => half.onData(100, pattern(1), false), { code: 'stream-limit' });
});

test('P3.6: FIN stands right behind the last byte, once, and needs no window', t => {
  const { half } = makeHalf({ window: 3 });
  half.onData(0, pattern(3), false);
  t.throws(() => half.onFin(2), { code: 'protocol-error' });
  t.throws(() => half.onFin(4), { code: 'protocol-error' });
  t.false(half.finished);
  t.true(half.onFin(3));
  t.false(half.onFin(3), 'the same FIN again says nothing new');
  t.throws(() => half.onFin(4), { code: 'protocol-error' });
  t.is(half.receivedBytes, 3);
  t.is(half.takeWindow().received, 4);
});

test('P3.6: DATA behind a FIN is protocol-error, were it a single byte in its place; what repeats is dropped', t => {
  const { half } = makeHalf();
  half.onData(0, pattern(3), false);
  half.onFin(3);
  t.throws(() => half.onData(3, pattern(1), false), { code: 'protocol-error' });
  t.throws(() => half.onData(3, pattern(5), false), { code: 'protocol-error' });
  t.throws(() => half.onData(4, pattern(1), false), { code: 'protocol-error' });
  t.throws(() => half.onData(1, pattern(3), false), { code: 'protocol-error' });
  t.is(half.onData(0, pattern(3), false).length, 0);
});

test('a stream is delivered when the application has taken all of it, and not before its FIN', t => {
  const { half } = makeHalf();
  half.onData(0, pattern(3), false);
  half.onTaken(3, 0, 0);
  t.false(half.delivered);
  half.onData(3, pattern(2), false);
  half.onFin(5);
  t.false(half.delivered);
  half.onTaken(2, 0, 0);
  t.true(half.delivered);
});

for (const [window, step] of [
  [4 * kib, 2 * kib],
  [40 * kib, 20 * kib],
  [64 * kib, 32 * kib],
  [512 * kib, 32 * kib],
  [2048 * kib, 128 * kib],
] as const) {
  test(`P3.1: with a window of ${window} bytes WINDOW is due after ${step}, read or not`, t => {
    const { half } = makeHalf({ window });
    half.onData(0, pattern(step - 1), false);
    t.false(half.windowDue);
    t.true(half.windowPending);
    half.onData(step - 1, pattern(1), false);
    t.true(half.windowDue);
    t.deepEqual(half.takeWindow(), { received: step, limit: window, yields: 0 });
    t.false(half.windowDue || half.windowPending);
  });
}

test('P3.1: NOW and FIN make WINDOW due at once, a repeated byte with NOW too', t => {
  const { half } = makeHalf();
  half.onData(0, pattern(1), true);
  t.true(half.windowDue);
  half.takeWindow();
  half.onData(0, pattern(1), true);
  t.true(half.windowDue);
  half.takeWindow();
  half.onFin(1);
  t.true(half.windowDue);
});

test('P3.1: the limit follows what the application takes, is told when half a window is free, and never goes back', t => {
  const { half } = makeHalf({ window: 1000 });
  half.onData(0, pattern(1000), false);
  t.is(half.takeWindow().limit, 1000);
  half.onTaken(499, 0, 0);
  t.false(half.windowDue);
  t.true(half.windowPending);
  half.onTaken(1, 0, 0);
  t.true(half.windowDue);
  t.is(half.takeWindow().limit, 1500);
  half.onTaken(0, 0, 0);
  t.is(half.takeWindow().limit, 1500);
});

test('P3.4: a window announced smaller than it is may be filled, and the rest is told', t => {
  const { half } = makeHalf({ window: 64 * kib, announced: 4 * kib });
  t.true(half.windowDue);
  t.is(half.takeWindow().limit, 64 * kib);
  t.is(half.onData(0, pattern(64 * kib), false).length, 64 * kib);
});

/** Fills and takes the window `rounds` times, each in `roundMs`; gives the window after each. */
function fill(made: ReturnType<typeof makeHalf>, rounds: number, roundMs: number, roundTripMs: number) {
  const { half, budget } = made;
  const windows: number[] = [];
  let at = 0;
  for (let round = 1; round <= rounds; round++) {
    const window = half.takeWindow().limit - at;
    half.onData(at, Buffer.alloc(window), false);
    at += window;
    half.onTaken(window, round * roundMs, roundTripMs);
    windows.push((budget.totalBytes - budget.freeBytes) / kib);
  }
  return windows;
}

test('P3.3: a window filled within two round trips doubles, on a short path up to 2 MiB', t => {
  t.deepEqual(fill(makeHalf(), 7, 20, 10), [128, 256, 512, 1024, 2048, 2048, 2048]);
});

test('P3.3: round trips under 8 ms count as 8 ms, since bytes wait for busy processes longer than that', t => {
  t.deepEqual(fill(makeHalf(), 3, 16, 0.1), [128, 256, 512]);
  t.deepEqual(fill(makeHalf(), 3, 17, 0.1), [64, 64, 64]);
});

test('P3.3: a window filled in more than two round trips stays', t => {
  t.deepEqual(fill(makeHalf(), 4, 21, 10), [64, 64, 64, 64]);
});

test('P3.3: on a long path the window follows rate and round trip, up to 8 MiB', t => {
  const windows = fill(makeHalf(), 9, 100, 100);
  t.deepEqual(windows, [128, 256, 512, 1024, 2048, 4096, 8192, 8192, 8192]);
});

test('P3.3: a window grows only while half the budget is free', t => {
  t.deepEqual(fill(makeHalf({ budgetBytes: 200 * kib }), 4, 1, 10), [128, 128, 128, 128]);
});

test('P3.3: a reader that takes in small bites grows its window as one that takes all at once', t => {
  const { half, budget } = makeHalf();
  let at = 0;
  for (let ms = 1; ms <= 40; ms++) {
    half.onData(at, Buffer.alloc(8 * kib), false);
    half.onTaken(8 * kib, ms, 10);
    at += 8 * kib;
  }
  t.true(budget.totalBytes - budget.freeBytes >= 256 * kib);
});

test('P3.3: whatever comes and is taken, what the peer may send never exceeds what was reserved', t => {
  const turn = fc.record({
    come: fc.integer({ min: 0, max: 200_000 }),
    take: fc.integer({ min: 0, max: 200_000 }),
    ms: fc.integer({ min: 0, max: 30 }),
  });
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), turns => {
      const { half, budget } = makeHalf({ window: 8 * kib, budgetBytes: 1024 * kib });
      let [received, taken, nowMs] = [0, 0, 0];
      for (const { come, take, ms } of turns) {
        nowMs += ms;
        const { limit } = half.takeWindow();
        const bytes = Math.min(come, limit - received);
        if (bytes > 0) half.onData(received, Buffer.alloc(bytes), false);
        received += bytes;
        const part = Math.min(take, received - taken);
        half.onTaken(part, nowMs, 10);
        taken += part;
        const reserved = budget.totalBytes - budget.freeBytes;
        if (half.takeWindow().limit - taken > reserved || budget.freeBytes < 0) return false;
      }
      half.release();
      return budget.freeBytes === budget.totalBytes;
    }),
  );
  t.pass();
});

test('P3.3: YIELD takes the window back to the floor, and the answer says so at once', t => {
  const { budget, half } = makeHalf();
  half.onData(0, pattern(1000), false);
  half.onTaken(500, 0, 10);
  half.takeWindow();
  half.onYield(1000);
  t.is(budget.freeBytes, 32 * kib * kib - 4 * kib);
  t.true(half.windowDue);
  t.deepEqual(half.takeWindow(), { received: 1000, limit: 500 + 4 * kib, yields: 1 });
  t.throws(() => half.onData(1000, pattern(4 * kib), false), { code: 'stream-limit' });
  half.release();
  t.is(budget.freeBytes, budget.totalBytes);
});

test('P3.3: what the application has still to take is not given back', t => {
  const { budget, half } = makeHalf();
  half.onData(0, pattern(10_000), false);
  half.onYield(10_000);
  t.is(budget.freeBytes, 32 * kib * kib - 10_000);
  t.is(half.takeWindow().limit, 10_000);
  half.onTaken(10_000, 60_000, 10);
  t.is(half.takeWindow().limit, 20_000);
});

test('P3.3: a YIELD of what has been used, of what was never allowed, or behind FIN is protocol-error', t => {
  const { half } = makeHalf({ window: 20_000 });
  half.onData(0, pattern(100), false);
  for (const upTo of [99, 20_001]) t.throws(() => half.onYield(upTo), { code: 'protocol-error' });
  half.onFin(100);
  t.throws(() => half.onYield(100), { code: 'protocol-error' });
});
