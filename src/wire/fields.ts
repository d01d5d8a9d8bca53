import { EntremiseError } from '../base/errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { type IpText, ipFromBytes, ipToBytes } from './ip.ts';

/**
 * Control bodies as tables (P1.5): a message is a record of fields, each with its integer key and the codec of its
 * value. The table is at once the document's row, the type, the encoder and the strict decoder.
 */

/** How one value goes to CBOR and back. `decode` gets the field's path for its error sentence. */
export interface ValueCodec<T> {
  encode(value: T): unknown;
  decode(raw: unknown, path: string): T;
}

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
  /** The body of the message. */
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

function bad(path: string, expected: string): EntremiseError {
  return new EntremiseError('bad-request', { message: `${path} must be ${expected}.` });
}

/** Whole numbers from 0 to `max`. */
export function uint(max = Number.MAX_SAFE_INTEGER): ValueCodec<number> {
  return {
    encode: value => value,
    decode(raw, path) {
      if (typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0 && raw <= max) return raw;
      throw bad(path, `a whole number up to ${max}`);
    },
  };
}

/** Port numbers and other u16. */
export const u16 = uint(0xffff);

/** u32. */
export const u32 = uint(0xffff_ffff);

/** true or false. */
export const bool: ValueCodec<boolean> = {
  encode: value => value,
  decode(raw, path) {
    if (typeof raw === 'boolean') return raw;
    throw bad(path, 'true or false');
  },
};

/** Text of at most `maxBytes` bytes of UTF-8. */
export function text(maxBytes: number): ValueCodec<string> {
  return {
    encode: value => value,
    decode(raw, path) {
      if (typeof raw === 'string' && Buffer.byteLength(raw) <= maxBytes) return raw;
      throw bad(path, `text of at most ${maxBytes} bytes`);
    },
  };
}

/** A byte string of `min` to `max` bytes. */
export function bytes(min: number, max = min): ValueCodec<Uint8Array> {
  return {
    encode: value => value,
    decode(raw, path) {
      if (raw instanceof Uint8Array && raw.length >= min && raw.length <= max) return raw;
      throw bad(path, `a byte string of ${min === max ? min : `${min} to ${max}`} bytes`);
    },
  };
}

/** An IP address: 4 or 16 bytes on the wire, canonical text in code. */
export const ipAddress: ValueCodec<IpText> = {
  encode: value => ipToBytes(value),
  decode(raw, path) {
    if (raw instanceof Uint8Array && (raw.length === 4 || raw.length === 16)) return ipFromBytes(raw);
    throw bad(path, 'an address of 4 or 16 bytes');
  },
};

/** At most `max` values of one kind, in order. */
export function list<T>(item: ValueCodec<T>, max: number): ValueCodec<readonly T[]> {
  return {
    encode: values => values.map(value => item.encode(value)),
    decode(raw, path) {
      if (!Array.isArray(raw) || raw.length > max) throw bad(path, `a list of at most ${max}`);
      return raw.map((value, index) => item.decode(value, `${path}[${index}]`));
    },
  };
}

/** One of a closed set of names, each with its number on the wire. */
export function oneOf<N extends string>(numbers: Readonly<Record<N, number>>): ValueCodec<N> {
  const names = new Map<unknown, N>((Object.keys(numbers) as N[]).map(name => [numbers[name], name]));
  return {
    encode: name => numbers[name],
    decode(raw, path) {
      const name = names.get(raw);
      if (name === undefined)
        throw new EntremiseError('unsupported', { message: `${path} has an unknown value.` });
      return name;
    },
  };
}

/** Always this value; carried so that a union can be told apart. */
export function constant<T extends string>(value: T, number: number): ValueCodec<T> {
  return oneOf({ [value]: number } as Record<T, number>);
}

function mapOf(raw: unknown, path: string): Map<unknown, unknown> {
  if (raw instanceof Map) return raw;
  throw bad(path, 'a map');
}

/** Keys 0-127 must be known, others are room for later and ignored (P1.5). */
function refuseUnknownKeys(map: Map<unknown, unknown>, known: ReadonlySet<unknown>, path: string): void {
  for (const key of map.keys()) {
    if (typeof key !== 'number' || key < 0) throw bad(path, 'a map with whole numbers as keys');
    if (key < 128 && !known.has(key)) {
      throw new EntremiseError('unsupported', { message: `${path} has the unknown key ${key}.` });
    }
  }
}

function withBytes<T>(name: string, codec: ValueCodec<T>): MessageCodec<T> {
  return {
    ...codec,
    toBytes: value => encodeCbor(codec.encode(value)),
    fromBytes: body => codec.decode(decodeCbor(body), name),
  };
}

/** A message from its table of fields. `name` opens its error sentences. */
export function message<F extends FieldsLike>(name: string, fields: F): MessageCodec<ValueOfFields<F>> {
  const entries = Object.entries(fields as unknown as Fields);
  const known = new Set<unknown>(entries.map(([, entry]) => entry.key));
  return withBytes<ValueOfFields<F>>(name, {
    encode(value) {
      const record = value as Record<string, unknown>;
      const map = new Map<number, unknown>();
      for (const [fieldName, entry] of entries) {
        const item = record[fieldName];
        if (item !== undefined) map.set(entry.key, entry.codec.encode(item));
      }
      return map;
    },
    decode(raw, path) {
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
  return withBytes<MessageOf<C[keyof C]>>(name, {
    encode(value) {
      const which = (value as Record<string, string>)[by.field] ?? '';
      return cases[which]?.encode(value);
    },
    decode(raw, path) {
      const which = tag.decode(mapOf(raw, path).get(by.key), `${path}.${by.field}`);
      const found = cases[which] as MessageCodec<MessageOf<C[keyof C]>>;
      return found.decode(raw, path);
    },
  });
}
