import test from 'ava';
import fc from 'fast-check';
import { decodeCbor, encodeCbor } from '../cbor.ts';
import { binaryCodecs, controlCodecs } from '../testing/codecs.ts';
import { randomValue } from '../testing/random-values.ts';
import { refusalOf } from '../testing/refusal.ts';
import { binaryVectors, controlVectors } from '../testing/vectors.ts';
import type { Shape } from '../values.ts';

test('a body that is no map is refused by every message', t => {
  for (const codec of Object.values(controlCodecs)) {
    for (const body of [0, 'text', [], true])
      t.is(
        refusalOf(() => codec.fromBytes(encodeCbor(body))),
        'bad-request',
      );
  }
});

/** `value` once for each map in it, with one entry more in that map. */
function withExtraKey(value: unknown, key: number, extra: unknown): unknown[] {
  if (Array.isArray(value)) {
    return value.flatMap((inner, index) =>
      withExtraKey(inner, key, extra).map(changed => value.with(index, changed)),
    );
  }
  if (!(value instanceof Map)) return [];
  const inside = [...value].flatMap(([innerKey, inner]) =>
    withExtraKey(inner, key, extra).map(changed => new Map(value).set(innerKey, changed)),
  );
  return [new Map(value).set(key, extra), ...inside];
}

const extras: readonly unknown[] = [
  0,
  'room for later',
  new Uint8Array(3),
  [1, [true]],
  new Map([[0, new Map()]]),
];

test('P1.5: an unknown key below 128 is `unsupported` and one from 128 on ignored, at every depth of every message', t => {
  for (const vector of controlVectors) {
    const codec = controlCodecs[vector.message];
    if (codec === undefined) return t.fail();
    const body = Buffer.from(vector.hex, 'hex');
    const expected = codec.fromBytes(body);
    for (const extra of extras) {
      for (const key of [100, 127]) {
        for (const changed of withExtraKey(decodeCbor(body), key, extra))
          t.is(
            refusalOf(() => codec.fromBytes(encodeCbor(changed))),
            'unsupported',
            `${vector.name}, key ${key}`,
          );
      }
      // CHANNEL has the first one itself.
      const first = vector.message === 'channel' ? 129 : 128;
      for (const key of [first, 255, 256, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
        for (const changed of withExtraKey(decodeCbor(body), key, extra))
          t.deepEqual(codec.fromBytes(encodeCbor(changed)), expected, `${vector.name}, key ${key}`);
      }
    }
  }
});

function mapsIn(shape: Shape): Extract<Shape, { kind: 'map' }>[] {
  if (shape.kind === 'list') return mapsIn(shape.item);
  if (shape.kind === 'choice') return Object.values(shape.cases).flatMap(mapsIn);
  if (shape.kind !== 'map') return [];
  return [shape, ...shape.fields.flatMap(inner => mapsIn(inner.shape))];
}

function hasTwice(values: readonly number[]): boolean {
  return new Set(values).size !== values.length;
}

test('no table gives a key to two fields, a number to two names, or a field that is needed a key that may be ignored', t => {
  for (const { shape } of Object.values(controlCodecs)) {
    for (const map of mapsIn(shape)) {
      t.false(hasTwice(map.fields.map(({ key }) => key)), map.name);
      for (const { key, name, optional, shape: inner } of map.fields) {
        t.true(Number.isInteger(key) && key >= 0 && (key < 128 || optional), `${map.name}.${name}`);
        if (inner.kind === 'name') t.false(hasTwice(Object.values(inner.numbers)), `${map.name}.${name}`);
      }
    }
  }
});

for (const [name, codec] of Object.entries(controlCodecs)) {
  test(`${name}: random valid values come back as they were`, t => {
    fc.assert(
      fc.property(randomValue(codec.shape), value => {
        t.deepEqual(codec.fromBytes(codec.toBytes(value)), value);
      }),
      { numRuns: 150 },
    );
  });
}

const everyCodec = { ...controlCodecs, ...binaryCodecs };
const realBodies = [...controlVectors, ...binaryVectors].map(vector => Buffer.from(vector.hex, 'hex'));

/** Noise, or a real body with some bytes replaced, put in or taken out. */
const hostileBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .tuple(fc.constantFrom(...realBodies), fc.nat(), fc.nat(2), fc.uint8Array({ maxLength: 3 }))
    .map(([body, where, removed, put]) => {
      const at = where % body.length;
      return new Uint8Array(Buffer.concat([body.subarray(0, at), put, body.subarray(at + removed)]));
    }),
);

test('whatever bytes come, every decoder reads them or refuses with `bad-request` or `unsupported`', t => {
  fc.assert(
    fc.property(hostileBytes, body => {
      for (const codec of Object.values(everyCodec))
        t.true([undefined, 'bad-request', 'unsupported'].includes(refusalOf(() => codec.fromBytes(body))));
    }),
    { numRuns: 1500 },
  );
});
