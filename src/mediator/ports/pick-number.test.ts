import test from 'ava';
import { EntremiseError } from '../../base/errors.ts';
import type { NumberRange } from '../../policy/number-range.ts';
import { denied } from '../../policy/verdict.ts';
import { type NumberSource, pickNumber } from './pick-number.ts';

/** A kernel of which `taken` says what is taken; it chooses `choices` when asked for any. */
function sourceOf(options: {
  ranges: NumberRange[];
  taken?: number[];
  own?: number[];
  refused?: number[];
  choices?: number[];
  random?: number;
}): { source: NumberSource<{ number: number }>; released: number[]; asked: number[] } {
  const { ranges, taken = [], own = [], refused = [], choices = [], random = 0 } = options;
  const released: number[] = [];
  const asked: number[] = [];
  const inRanges = (number: number) =>
    ranges.some(range => range.first <= number && number <= range.last) && !refused.includes(number);
  const source: NumberSource<{ number: number }> = {
    ranges,
    ask: number => (inRanges(number) ? undefined : denied('grant', 'ports.tcp', 'contain it')),
    isFree: number => !own.includes(number),
    reserve(number) {
      asked.push(number);
      const given = number === 0 ? (choices.shift() ?? 60_000) : number;
      if (taken.includes(given)) throw new EntremiseError('port-in-use');
      return { number: given };
    },
    numberOf: ({ number }) => number,
    release: ({ number }) => released.push(number),
    random: () => random,
  };
  return { source, released, asked };
}

const ranges = [
  { first: 2000, last: 2003 },
  { first: 65_534, last: 65_535 },
];

test('mandatory takes the number or fails', t => {
  t.is(pickNumber({ choice: 'mandatory', number: 2001 }, sourceOf({ ranges }).source).number, 2001);
  for (const held of [{ taken: [2001] }, { own: [2001] }]) {
    const { source } = sourceOf({ ranges, ...held });
    t.throws(() => pickNumber({ choice: 'mandatory', number: 2001 }, source), { code: 'port-in-use' });
  }
});

test('S7: preferred takes the first free and allowed number upwards, over gaps between ranges', t => {
  const pick = (number: number, options: object) =>
    pickNumber({ choice: 'preferred', number }, sourceOf({ ranges, ...options }).source).number;
  t.is(pick(2001, {}), 2001);
  t.is(pick(2001, { taken: [2001], own: [2002] }), 2003);
  t.is(pick(2001, { refused: [2001, 2002, 2003] }), 65_534);
  t.is(pick(2004, {}), 65_534);
  t.is(pick(1000, {}), 2000);
});

test('P5.1: preferred does not wrap past 65535', t => {
  const { source } = sourceOf({ ranges, taken: [65_535] });
  t.throws(() => pickNumber({ choice: 'preferred', number: 65_535 }, source), {
    code: 'port-in-use',
    message: /No number from 65535 upwards/,
  });
});

test('a number that the kernel refuses for another reason ends the search', t => {
  const { source } = sourceOf({ ranges });
  const failing = {
    ...source,
    reserve: () => {
      throw new EntremiseError('address-not-available');
    },
  };
  t.throws(() => pickNumber({ choice: 'preferred', number: 2000 }, failing), {
    code: 'address-not-available',
  });
});

test('any takes the choice of the kernel where it is allowed', t => {
  const { source, released } = sourceOf({ ranges, choices: [40_000, 2002] });
  t.is(pickNumber({ choice: 'any' }, source).number, 2002);
  t.deepEqual(released, [40_000]);
});

test('any goes through the ranges when the choices of the kernel are not allowed, from anywhere in them', t => {
  const at = (random: number, taken: number[] = []) =>
    pickNumber({ choice: 'any' }, sourceOf({ ranges, random, taken }).source).number;
  t.is(at(0), 2000);
  t.is(at(0.5), 2003);
  t.is(at(0.99), 65_535);
  t.is(at(0.99, [65_535]), 2000);
  t.is(at(0.5, [2003, 65_534, 65_535, 2000]), 2001);
});

test('any fails when every allowed number is taken, and leaves nothing reserved', t => {
  const all = [2000, 2001, 2002, 2003, 65_534, 65_535];
  const { source, released } = sourceOf({ ranges, taken: all });
  t.throws(() => pickNumber({ choice: 'any' }, source), { code: 'port-in-use' });
  t.deepEqual(released, [60_000, 60_000, 60_000, 60_000]);
});
