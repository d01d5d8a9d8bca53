import test from 'ava';
import fc from 'fast-check';
import { readGroup } from '../wire/testing/vectors.ts';
import { ReplayWindow, replayWindow } from './replay-window.ts';

test('the golden counters are new, or not, as they say', t => {
  const { replay } = readGroup('packets') as { readonly replay: readonly (readonly [number, boolean])[] };
  const window = new ReplayWindow();
  for (const [index, [counter, expected]] of replay.entries()) {
    t.is(window.isNew(counter), expected, `row ${index}: ${counter}`);
    if (expected) window.mark(counter);
  }
});

test('the window is at least as wide as P7.3 asks', t => {
  t.true(replayWindow >= 2048);
});

test('no counter is taken twice, and none within the window is refused the first time', t => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -100, max: 100 }) },
    { weight: 1, arbitrary: fc.integer({ min: -5000, max: 10_000 }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), steps => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let newest = 0;
      for (const by of steps) {
        const counter = Math.max(0, newest + by);
        const isNew = window.isNew(counter);
        const tooOld = newest - counter >= replayWindow;
        t.is(isNew, !seen.has(counter) && !tooOld, `${counter} behind ${newest}`);
        if (isNew) window.mark(counter);
        if (isNew) seen.add(counter);
        newest = Math.max(newest, counter);
      }
    }),
  );
});
