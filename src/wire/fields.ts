import { EntremiseError } from '../base/errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bad, type FieldShape, oneOf, type ValueCodec } from './values.ts';

export * from './values.ts';

/**
 * Control bodies as tables (P1.5): a message is a record of fields, each with its integer key and the codec of its
 * value. The table is at once the document's row, the type, the encoder and the strict decoder.
 */

/** Keys below this must be known to the reader, those from it on are ignored when unknown (P1.5). */
export const firstIgnorableKey = 128;

/** A field of a message: its key on the wire and how its value is written. */
export interface Field<T, O extends boolean> {
  readonly key: number;
  readonly codec: ValueCodec<T>;
  readonly optional: O;
}

/** Fields by their name in code. */
export type Fields = Record<string, Field<unknown, boolean>>;

type FieldsLike = { readonly [name: string]: { readonly key: number; readonly optional: boolean } };
type ValueOf<F> = F extends Field<infer T, boolean> ? T : never;
type OptionalNames<F extends FieldsLike> = {
  [K in keyof F]: F[K]['optional'] extends true ? K : never;
}[keyof F];

/** The value that a table of fields describes. */
export type ValueOfFields<F extends FieldsLike> = {
  readonly [K in Exclude<keyof F, OptionalNames<F>>]: ValueOf<F[K]>;
} & { readonly [K in OptionalNames<F>]?: ValueOf<F[K]> };

/** A message: its codec on bytes, and as a value inside another message. */
export interface MessageCodec<T> extends ValueCodec<T> {
  /**
   * The body of the message.
   * @throws EntremiseError `bad-request`, naming the field, for a value that the reader would refuse
   */
  toBytes(value: T): Uint8Array;
  /** @throws EntremiseError `bad-request` or `unsupported`, naming the field */
  fromBytes(bytes: Uint8Array): T;
}

/** The value a message codec carries. */
export type MessageOf<C> = C extends MessageCodec<infer T> ? T : never;

/** A field that must be there. */
export function field<T>(key: number, codec: ValueCodec<T>): Field<T, false> {
  return { key, codec, optional: false };
}

/** A field that may be absent. */
export function optional<T>(key: number, codec: ValueCodec<T>): Field<T, true> {
  return { key, codec, optional: true };
}

function mapOf(raw: unknown, path: string): Map<number, unknown> {
  if (raw instanceof Map) return raw;
  throw bad(path, 'a map');
}

function refuseUnknownKeys(map: Map<number, unknown>, known: ReadonlySet<number>, path: string): void {
  for (const key of map.keys()) {
    if (key < firstIgnorableKey && !known.has(key)) {
      throw new EntremiseError('unsupported', { message: `${path} has the unknown key ${key}.` });
    }
  }
}

function withBytes<T>(name: string, codec: ValueCodec<T>): MessageCodec<T> {
  return {
    ...codec,
    toBytes: value => encodeCbor(codec.encode(value, name)),
    fromBytes: body => codec.decode(decodeCbor(body), name),
  };
}

function fieldShapes(entries: [string, Field<unknown, boolean>][]): FieldShape[] {
  return entries.map(([name, { key, optional: mayBeAbsent, codec }]) => {
    return { key, name, optional: mayBeAbsent, shape: codec.shape };
  });
}

/** A message from its table of fields. `name` opens its error sentences. */
export function message<F extends FieldsLike>(name: string, fields: F): MessageCodec<ValueOfFields<F>> {
  const entries = Object.entries(fields as unknown as Fields);
  const known = new Set(entries.map(([, entry]) => entry.key));
  return withBytes<ValueOfFields<F>>(name, {
    shape: { kind: 'map', name, fields: fieldShapes(entries) },
    encode(value, path = name) {
      const record = value as Record<string, unknown>;
      const map = new Map<number, unknown>();
      for (const [fieldName, entry] of entries) {
        const item = record[fieldName];
        if (item !== undefined) map.set(entry.key, entry.codec.encode(item, `${path}.${fieldName}`));
        else if (!entry.optional) throw bad(`${path}.${fieldName}`, 'present');
      }
      return map;
    },
    decode(raw, path = name) {
      const map = mapOf(raw, path);
      refuseUnknownKeys(map, known, path);
      const record: Record<string, unknown> = {};
      for (const [fieldName, entry] of entries) {
        const item = map.get(entry.key);
        if (item !== undefined) record[fieldName] = entry.codec.decode(item, `${path}.${fieldName}`);
        else if (!entry.optional) throw bad(`${path}.${fieldName}`, 'present');
      }
      return record as ValueOfFields<F>;
    },
  });
}

/** Messages told apart by one field, `by`, whose key is the same in all; `cases` maps the field's value to its message. */
export function union<N extends string, C extends Record<string, MessageCodec<unknown>>>(
  name: string,
  by: {
    readonly field: N;
    readonly key: number;
    readonly numbers: Readonly<Record<keyof C & string, number>>;
  },
  cases: C,
): MessageCodec<MessageOf<C[keyof C]>> {
  const tag = oneOf(by.numbers);
  const shapes = Object.fromEntries(Object.entries(cases).map(([which, codec]) => [which, codec.shape]));
  return withBytes<MessageOf<C[keyof C]>>(name, {
    shape: { kind: 'choice', by: by.field, cases: shapes },
    encode(value, path = name) {
      const which = (value as Record<string, string>)[by.field] ?? '';
      if (!Object.hasOwn(cases, which))
        throw bad(`${path}.${by.field}`, `one of ${Object.keys(cases).join(', ')}`);
      return cases[which]?.encode(value, path);
    },
    decode(raw, path = name) {
      const which = tag.decode(mapOf(raw, path).get(by.key), `${path}.${by.field}`);
      const found = cases[which] as MessageCodec<MessageOf<C[keyof C]>>;
      return found.decode(raw, path);
    },
  });
}
