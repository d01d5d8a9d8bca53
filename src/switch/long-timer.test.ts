import test from 'ava';
import { fakeClock, systemClock } from '../base/clock.ts';
import { at } from './long-timer.ts';

test('a deadline 30 days away comes after 30 days, not at once', t => {
  const clock = fakeClock();
  const waits: number[] = [];
  let ran = 0;
  const watched = {
    ...clock,
    after: (delayMs: number, run: () => void) => {
      waits.push(delayMs);
      return clock.after(delayMs, run);
    },
  };
  at(watched, 30 * 24 * 3_600_000, () => ran++);
  clock.advance(30 * 24 * 3_600_000 - 1);
  t.is(ran, 0);
  clock.advance(1);
  t.is(ran, 1);
  t.true(waits.every(delayMs => delayMs < 2 ** 31));
});

test('a deadline that was cancelled or never comes does not run', t => {
  const clock = fakeClock();
  const cancel = at(clock, 2 * 24 * 3_600_000, () => t.fail());
  clock.advance(25 * 3_600_000);
  cancel();
  clock.advance(90 * 3_600_000);
  at(systemClock, Number.POSITIVE_INFINITY, () => t.fail())();
  t.pass();
});
