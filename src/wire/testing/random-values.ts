import fc from 'fast-check';
import { ipFromBytes } from '../ip.ts';
import type { MapShape, Shape } from '../values.ts';

/** Random values that a codec accepts, made from its shape. Lists and byte strings stay short: length is tested apart. */

const longest = 40;

function randomBytes(min: number, max: number): fc.Arbitrary<Uint8Array> {
  const maxLength = Math.max(min, Math.min(max, longest));
  return fc.uint8Array({ minLength: min, maxLength }).map(bytes => new Uint8Array(bytes));
}

function randomText(maxBytes: number): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'binary', maxLength: Math.min(maxBytes, longest) })
    .filter(value => Buffer.byteLength(value) <= maxBytes);
}

function randomMap(shape: MapShape): fc.Arbitrary<unknown> {
  const fields = shape.fields.map(field => [field.name, randomValue(field.shape)] as const);
  const requiredKeys = shape.fields.filter(field => !field.optional).map(field => field.name);
  return fc.record(Object.fromEntries(fields), { requiredKeys, noNullPrototype: true });
}

/** Any address, as canonical text. */
export const randomAddress: fc.Arbitrary<string> = fc
  .oneof(randomBytes(4, 4), randomBytes(16, 16))
  .map(ipFromBytes);

/** Any value of that shape. */
export function randomValue(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'uint':
      return fc.oneof(
        fc.constantFrom(0, shape.max),
        fc.maxSafeNat().map(value => value % (shape.max + 1)),
      );
    case 'bool':
      return fc.boolean();
    case 'text':
      return randomText(shape.maxBytes);
    case 'bytes':
      return randomBytes(shape.min, shape.max);
    case 'address':
      return randomAddress;
    case 'list':
      return fc.array(randomValue(shape.item), { maxLength: Math.min(shape.max, 3) });
    case 'name':
      return fc.constantFrom(...Object.keys(shape.numbers));
    case 'map':
      return randomMap(shape);
    case 'choice':
      return fc.oneof(...Object.values(shape.cases).map(randomValue));
  }
}
