import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { PathClock } from './path-clock.ts';

test('a timer counts only the time that runs, however often it stands still', t => {
  const clock = fakeClock();
  const path = new PathClock(clock);
  const fired: string[] = [];
  clock.advance(7);
  path.after(100, () => fired.push('before'));
  clock.advance(60);
  path.pause();
  path.pause();
  clock.advance(5_000);
  path.after(10, () => fired.push('while'));
  path.resume();
  path.resume();
  clock.advance(9);
  t.deepEqual(fired, []);
  clock.advance(1);
  t.deepEqual(fired, ['while']);
  clock.advance(29);
  path.pause();
  clock.advance(5_000);
  path.resume();
  t.deepEqual(fired, ['while']);
  clock.advance(1);
  t.deepEqual(fired, ['while', 'before']);
});

test('a timer that is cancelled while time stands, or runs, does not fire', t => {
  const clock = fakeClock();
  const path = new PathClock(clock);
  const cancels = [path.after(10, () => t.fail()), path.after(10, () => t.fail())];
  cancels[0]?.();
  path.pause();
  cancels[1]?.();
  path.resume();
  clock.advance(1_000);
  t.pass();
});
