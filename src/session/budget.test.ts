import test from 'ava';
import fc from 'fast-check';
import { Budget } from './budget.ts';

const kib = 1024;

for (const [freeKib, startKib] of [
  [64 * 1024, 64],
  [32 * 1024, 64],
  [8 * 1024, 16],
  [4 * 1024, 8],
  [2 * 1024, 4],
  [1024, 4],
  [4, 4],
  [3, 0],
  [0, 0],
] as const) {
  test(`P3.3: with ${freeKib} KiB free a stream starts with ${startKib} KiB`, t => {
    const budget = new Budget(freeKib * kib);
    t.is(budget.reserveInitial(), startKib * kib);
    t.is(budget.freeBytes, (freeKib - startKib) * kib);
  });
}

test('P3.3: a promise doubles while half the budget is free, not beyond its ceiling', t => {
  const budget = new Budget(1000);
  t.true(budget.reserve(100));
  t.is(budget.grow(100, 10_000), 200);
  t.is(budget.grow(200, 300), 300);
  t.is(budget.grow(300, 300), 300);
  t.is(budget.grow(300, 10_000), 600);
  t.is(budget.grow(600, 10_000), 600);
  t.is(budget.freeBytes, 400);
});

test('P3.3: what is not free is not promised', t => {
  const budget = new Budget(1000);
  t.false(budget.reserve(1001));
  t.true(budget.reserve(1000));
  t.false(budget.reserve(1));
  t.is(budget.reserveInitial(), 0);
  budget.release(1000);
  t.is(budget.freeBytes, 1000);
});

const step = fc.oneof(
  fc.record({ what: fc.constant('start' as const), which: fc.nat(20), bytes: fc.nat(1) }),
  fc.record({ what: fc.constant('reserve' as const), which: fc.nat(20), bytes: fc.nat(1 << 20) }),
  fc.record({ what: fc.constant('grow' as const), which: fc.nat(20), bytes: fc.nat(1 << 21) }),
  fc.record({ what: fc.constant('release' as const), which: fc.nat(20), bytes: fc.nat(1) }),
);

test('P3.3: whatever is asked for, a budget is never overdrawn, counts exactly, and has all of it back at the end', t => {
  fc.assert(
    fc.property(fc.nat(1 << 22), fc.array(step, { maxLength: 200 }), (totalBytes, steps) => {
      const budget = new Budget(totalBytes);
      const promises: number[] = [];
      for (const { what, which, bytes } of steps) {
        const held = promises[which] ?? 0;
        if (what === 'start') promises.push(budget.reserveInitial());
        else if (what === 'reserve') promises.push(budget.reserve(bytes) ? bytes : 0);
        else if (what === 'grow') promises[which] = budget.grow(held, bytes);
        else {
          budget.release(held);
          promises[which] = 0;
        }
        const promised = promises.reduce((sum, one) => sum + (one ?? 0), 0);
        if (budget.freeBytes < 0 || budget.freeBytes !== totalBytes - promised) return false;
      }
      for (const held of promises) budget.release(held ?? 0);
      return budget.freeBytes === totalBytes;
    }),
  );
  t.pass();
});
