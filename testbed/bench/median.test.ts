import test from 'ava';
import { median, medianRatio } from './median.ts';

test('the median is the middle value, whatever the order', t => {
  t.is(median([9, 1, 5]), 5);
  t.is(median([7]), 7);
});

test('the median of an even number of values is the mean of the middle two', t => {
  t.is(median([1, 2, 4, 100]), 3);
});

test('there is no median of nothing, or of what is no number', t => {
  t.throws(() => median([]), { instanceOf: RangeError });
  t.throws(() => median([1, Number.NaN]), { instanceOf: RangeError });
});

test('a ratio is taken within each round, not between the medians', t => {
  // The machine was four times slower in the second round, for both.
  t.is(medianRatio([8, 2, 6], [4, 1, 4]), 2);
});

test('a ratio needs the same rounds on both sides and something to divide by', t => {
  t.throws(() => medianRatio([1, 2], [1]), { message: /2 rounds cannot be compared with 1/ });
  t.throws(() => medianRatio([1, 2], [1, 0]), { message: /round 2/ });
});
