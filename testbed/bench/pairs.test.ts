import test from 'ava';
import { errorOfMedian, pairedRatios } from './pairs.ts';
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

test('the error of a median is that of most values, whatever a few are, and falls with the root of their number', t => {
  const few = [0.9, 1, 1.1, 1, 50, 1.1, 0.9];
  const error = errorOfMedian(few);
  t.true(Math.abs(error - (0.1 / 0.6745) * Math.sqrt(Math.PI / 2 / 7)) < 1e-9);
  t.true(Math.abs(errorOfMedian([...few, ...few, ...few, ...few]) - error / 2) < 1e-9);
  t.is(errorOfMedian([3, 3, 3]), 0);
});
