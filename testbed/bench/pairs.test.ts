import test from 'ava';
import { pairedRatios, spread } from './pairs.ts';
import type { Run } from './report.ts';

test('a machine that slows down all the time favours neither of a pair', async t => {
  const recorded: unknown[] = [];
  const context = { quick: false, progress() {}, record: (run: Run) => void recorded.push(run) };
  let speed = 100;
  const measure = async () => speed--;
  const [one, other] = ['one', 'other'].map(what => ({ what, unit: 'x', measure }));
  if (one === undefined || other === undefined) return t.fail();
  const ratios = await pairedRatios(context, 20, one, other);
  t.is(ratios.length, 20);
  t.is(ratios.filter(ratio => ratio > 1).length, 10);
  t.is(recorded.length, 40);
});

test('the spread is that of most values, whatever a few are', t => {
  t.is(spread([1, 1.1, 0.9, 1, 50]), 0.09999999999999998);
  t.is(spread([3, 3, 3]), 0);
});
