import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { markInStepsOnceLarge } from './collections.ts';

test('a heap that has become large is marked in steps for good', t => {
  const clock = fakeClock();
  let bytes = 60 * 1024 * 1024;
  const flags: string[] = [];
  markInStepsOnceLarge(
    clock,
    () => bytes,
    flag => void flags.push(flag),
  );
  clock.advance(60_000);
  t.deepEqual(flags, []);
  bytes = 70 * 1024 * 1024;
  clock.advance(5_000);
  bytes = 10;
  clock.advance(60_000);
  t.deepEqual(flags, ['--incremental-marking']);
});

test('who ends the looking is not told later', t => {
  const clock = fakeClock();
  let bytes = 0;
  const flags: string[] = [];
  const end = markInStepsOnceLarge(
    clock,
    () => bytes,
    flag => void flags.push(flag),
  );
  clock.advance(12_000);
  end();
  bytes = 100 * 1024 * 1024;
  clock.advance(60_000);
  t.deepEqual(flags, []);
});
