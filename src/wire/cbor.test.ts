import { getHeapStatistics } from 'node:v8';
import test from 'ava';
import { decode as twinDecode, encode as twinEncode } from 'cborg';
import fc from 'fast-check';
import { decodeCbor, encodeCbor, maxContainers, maxNesting } from './cbor.ts';
import { refusalOf } from './testing/refusal.ts';
import { controlVectors } from './testing/vectors.ts';

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

const refusal = (bytes: Uint8Array) => refusalOf(() => decodeCbor(bytes));

const notInProfile: Readonly<Record<string, readonly string[]>> = {
  'nothing at all': [''],
  'trailing bytes': ['0000', 'a000', '800a'],
  'negative numbers': ['20', '3818', '3bffffffffffffffff'],
  'half, single and double floats, also whole ones': ['f93c00', 'f98000', 'fa3f800000', 'fb3ff0000000000000'],
  'NaN and the infinities': ['f97e00', 'f97c00', 'f9fc00', 'fb7ff8000000000000'],
  'null and undefined': ['f6', 'f7', 'a100f6', 'a100f7'],
  'other simple values': ['e0', 'f3', 'f818', 'f8ff', 'f814'],
  tags: ['c000', 'd81845', 'd9d9f7a0', 'c249010000000000000000'],
  'indefinite lengths and a lone break': ['5fff', '5f4100ff', '7fff', '9fff', 'bfff', 'ff', '8200ff'],
  'reserved lengths': ['1c', '1d', '1e', '1f', '5c', '7d', '9e', 'bc'],
  'numbers longer than they need be': [
    '1800',
    '1817',
    '190000',
    '1900ff',
    '1a00000000',
    '1a0000ffff',
    '1b0000000000000000',
    '1b00000000ffffffff',
  ],
  'lengths longer than they need be': ['5800', '7800', '9800', 'b800', '590001ff', '9a0000000100'],
  'numbers beyond 2^53 - 1': ['1b0020000000000000', '1bffffffffffffffff'],
  'a key twice': ['a200000000', 'a2010001f5', 'a3010002000201'],
  'keys out of order': ['a202000100', 'a218800017f5'],
  'keys that are no unsigned number': [
    'a1200a',
    'a1616100',
    'a1410000',
    'a1f500',
    'a1a00000',
    'a1800000',
    'a1f93c0000',
  ],
  'text that is not UTF-8': [
    '61ff',
    '62c328',
    '63eda080',
    '61c3',
    '64f4908080',
    '62c080',
    `7820${'c3'.repeat(32)}`,
  ],
  'ends that come too soon': [
    '18',
    '19',
    '1900',
    '1a000000',
    '1b00000000000000',
    '41',
    '61',
    '81',
    'a1',
    'a100',
    '4261',
  ],
};

for (const [what, examples] of Object.entries(notInProfile)) {
  test(`refuses ${what}`, t => {
    for (const hex of examples) t.is(refusal(bytesOf(hex)), 'bad-request', hex);
  });
}

test('refuses them also deep inside a body, under a key that is ignored', t => {
  for (const hex of Object.values(notInProfile).flat()) {
    t.is(refusal(bytesOf(`a1188082f5${hex}`)), 'bad-request', hex);
  }
});

test('the error names the byte', t => {
  const thrown = t.throws(() => decodeCbor(bytesOf('a201010120')));
  t.is(thrown?.message, 'The body is not strict CBOR: a map key twice or out of order at byte 3.');
});

test('reads every kind of the profile at the borders of its encodings', t => {
  const numbers = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER];
  for (const number of numbers) t.is(decodeCbor(encodeCbor(number)), number);
  for (const length of [0, 23, 24, 255, 256, 65_536]) {
    t.is(decodeCbor(encodeCbor('x'.repeat(length))), 'x'.repeat(length));
    t.deepEqual(decodeCbor(encodeCbor(new Uint8Array(length))), new Uint8Array(length));
    t.deepEqual(
      decodeCbor(encodeCbor(new Array(Math.min(length, maxContainers - 1)).fill(true))),
      new Array(Math.min(length, maxContainers - 1)).fill(true),
    );
  }
  for (const text of ['é', '\u{1f310}', '\u{feff}bom', '\0', '\u{fffd}'])
    t.is(decodeCbor(encodeCbor(text)), text);
});

test('-0 is written as 0', t => {
  t.is(Buffer.from(encodeCbor(-0)).toString('hex'), '00');
});

test('keys are written in rising order, whatever the order of the Map', t => {
  const map = new Map([
    [200, 1],
    [0, 1],
    [24, 1],
    [65_536, 1],
    [23, 1],
  ]);
  const read = decodeCbor(encodeCbor(map));
  t.deepEqual([...(read as Map<number, unknown>).keys()], [0, 23, 24, 200, 65_536]);
});

test('what was written stays as it is when more is written, and may be longer than the room kept for it', t => {
  const first = encodeCbor('first');
  const long = encodeCbor(['x'.repeat(40_000), new Uint8Array(40_000), 1]);
  encodeCbor('other');
  t.is(decodeCbor(first), 'first');
  t.deepEqual(decodeCbor(long), ['x'.repeat(40_000), new Uint8Array(40_000), 1]);
});

test('a value that CBOR lacks is refused, and the next one is written as ever', t => {
  t.throws(() => encodeCbor([1, undefined]), { code: 'internal' });
  t.is(decodeCbor(encodeCbor(1)), 1);
});

test('a byte string that was read shares no memory with the bytes it was read from', t => {
  const received = Buffer.from('a10143010203', 'hex');
  const read = decodeCbor(received) as Map<number, Uint8Array>;
  received.fill(0xff);
  t.deepEqual(read.get(1), Uint8Array.of(1, 2, 3));
});

test(`reads nesting up to ${maxNesting} and refuses one more`, t => {
  t.is(refusal(bytesOf(`${'81'.repeat(maxNesting)}00`)), undefined);
  t.is(refusal(bytesOf(`${'81'.repeat(maxNesting + 1)}00`)), 'bad-request');
  t.is(refusal(bytesOf(`${'a100'.repeat(maxNesting)}00`)), undefined);
  t.is(refusal(bytesOf(`${'a100'.repeat(maxNesting + 1)}00`)), 'bad-request');
});

const bombs: Readonly<Record<string, string>> = {
  'an array in an array, 16,000 times': '81'.repeat(16_000),
  'a map in a map, 8,000 times': 'a100'.repeat(8_000),
  'an array that announces 2^32 - 1 items': '9affffffff',
  'an array that announces 2^53 - 1 items, behind 16 KB of them': `9b001fffffffffffff${'00'.repeat(16_000)}`,
  'a map that announces 2^32 - 1 entries': 'baffffffff',
  'a map that announces 2^53 - 1 entries': 'bb001fffffffffffff',
  'a byte string that announces 2^32 - 1 bytes': '5affffffff',
  'text that announces 2^53 - 1 bytes': '7b001fffffffffffff',
  'an array of 200,000 empty maps': `9a00030d40${'a0'.repeat(200_000)}`,
  'announcements inside announcements': '9affffffff'.repeat(3_000),
};

for (const [what, hex] of Object.entries(bombs)) {
  test(`refuses, without taking memory: ${what}`, t => {
    const bytes = bytesOf(hex);
    const used = () => getHeapStatistics().used_heap_size + getHeapStatistics().external_memory;
    const before = used();
    t.is(refusal(bytes), 'bad-request');
    t.true(used() - before < 12 * 2 ** 20, `took ${used() - before} bytes`);
  });
}

test('the most arrays and maps that are read take less than 12 MiB', t => {
  const count = maxContainers - 1;
  const bytes = Buffer.concat([Buffer.from('997fff', 'hex'), Buffer.alloc(count, 0xa0)]);
  const before = getHeapStatistics().used_heap_size;
  const read = decodeCbor(bytes) as unknown[];
  t.is(read.length, count);
  t.true(getHeapStatistics().used_heap_size - before < 12 * 2 ** 20);
});

const item: fc.Arbitrary<unknown> = fc.letrec(tie => ({
  item: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    fc.maxSafeNat(),
    fc.boolean(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array(),
    fc.array(tie('item'), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(fc.maxSafeNat(), tie('item')), { maxLength: 5, selector: ([key]) => key })
      .map(entries => new Map(entries.sort(([one], [other]) => one - other))),
  ),
})).item;

test('whatever the profile can say comes back as it was, and is written as another encoder writes it', t => {
  fc.assert(
    fc.property(item, value => {
      const written = encodeCbor(value);
      t.deepEqual(decodeCbor(written), value);
      t.deepEqual(Buffer.from(written), Buffer.from(twinEncode(value)));
    }),
    { numRuns: 300 },
  );
  t.pass();
});

/** Mostly real bodies with a few bytes changed, put in or taken out; else noise. */
const nearlyCbor: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc
    .tuple(
      fc.constantFrom(...controlVectors),
      fc.nat(),
      fc.nat(2),
      fc.uint8Array({ minLength: 1, maxLength: 3 }),
    )
    .map(([vector, where, removed, put]) => {
      const bytes = bytesOf(vector.hex);
      const at = where % bytes.length;
      return new Uint8Array(Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + removed)]));
    }),
);

test('whatever is read has this one encoding, and means the same to another decoder', t => {
  fc.assert(
    fc.property(nearlyCbor, bytes => {
      if (refusal(bytes) !== undefined) return;
      const value = decodeCbor(bytes);
      t.deepEqual(new Uint8Array(encodeCbor(value)), bytes);
      if (!Buffer.from(bytes).includes('efbbbf', 'hex'))
        t.deepEqual(value, twinDecode(bytes, { useMaps: true, strict: true, allowIndefinite: false }));
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test('nothing but `bad-request` comes out of random bytes', t => {
  fc.assert(
    fc.property(nearlyCbor, bytes => {
      t.true([undefined, 'bad-request'].includes(refusal(bytes)));
    }),
    { numRuns: 3000 },
  );
});
