import test from 'ava';
import fc from 'fast-check';
import {
  bindableRanges,
  intersectRanges,
  numberRangeText,
  parseNumberRange,
  rangesContain,
  rangesName,
} from './number-range.ts';

test('ranges are read and written', t => {
  for (const text of ['1', '80', '65535', '8000-8999', '1-65535'])
    t.is(numberRangeText(parseNumberRange(text)), text);
  t.is(numberRangeText(parseNumberRange('80-80')), '80');
});

test('what is no range of port numbers is refused', t => {
  for (const text of [
    '',
    '0',
    '65536',
    '0-10',
    '9-8',
    '80-',
    '-80',
    '1-2-3',
    '8e1',
    ' 80',
    '0x50',
    '80-70000',
    '٨٠',
  ]) {
    t.throws(() => parseNumberRange(text), { message: /is not a range of port numbers/ }, text);
  }
});

const range = fc
  .tuple(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 0, max: 3000 }))
  .map(([first, length]) => ({ first, last: first + length }));
const ranges = fc.array(range, { maxLength: 5 });

test('an intersection contains exactly the numbers that both contain', t => {
  fc.assert(
    fc.property(ranges, ranges, fc.integer({ min: 1, max: 6000 }), (left, right, number) => {
      const both = rangesContain(left, number) && rangesContain(right, number);
      return rangesContain(intersectRanges(left, right), number) === both;
    }),
  );
  t.pass();
});

test('a number below 1024 can be bound only by a range that lies below 1024 as a whole', t => {
  const bindable = (text: string, number: number) =>
    rangesContain(bindableRanges([parseNumberRange(text)]), number);
  t.false(bindable('1-65535', 80));
  t.false(bindable('1023-1024', 1023));
  t.true(bindable('1023-1024', 1024));
  t.true(bindable('80', 80));
  t.true(bindable('1-1023', 80));
  fc.assert(
    fc.property(ranges, fc.integer({ min: 1024, max: 6000 }), (all, number) => {
      return rangesContain(bindableRanges(all), number) === rangesContain(all, number);
    }),
  );
});

test('only a range of one number names it', t => {
  t.true(rangesName([parseNumberRange('1-9'), parseNumberRange('80')], 80));
  t.false(rangesName([parseNumberRange('79-81')], 80));
});
