import { EntremiseError } from '../base/errors.ts';
import { type IpText, ipFromBytes, ipToBytes } from './ip.ts';

/**
 * Codecs of single values inside a control body (P1.5). Each checks what it writes as strictly as what it reads: what
 * one side lets out, the other side takes.
 */

/** What a codec accepts, as data: docs/protocol.md is compared with it, and tests make random values from it. */
export type Shape =
  | { readonly kind: 'uint'; readonly max: number }
  | { readonly kind: 'bool' }
  | { readonly kind: 'text'; readonly maxBytes: number }
  | { readonly kind: 'bytes'; readonly min: number; readonly max: number }
  | { readonly kind: 'address' }
  | { readonly kind: 'list'; readonly item: Shape; readonly max: number }
  | { readonly kind: 'name'; readonly numbers: Readonly<Record<string, number>> }
  | MapShape
  | { readonly kind: 'choice'; readonly by: string; readonly cases: Readonly<Record<string, Shape>> };

/** The {@link Shape} of a message: its name and its fields in the order of the table. */
export interface MapShape {
  readonly kind: 'map';
  readonly name: string;
  readonly fields: readonly FieldShape[];
}

/** One row of a message's table. */
export interface FieldShape {
  readonly key: number;
  readonly name: string;
  readonly optional: boolean;
  readonly shape: Shape;
}

/** How one value goes to CBOR and back. Both ways throw EntremiseError `bad-request` (or `unsupported`), naming `path`. */
export interface ValueCodec<T> {
  readonly shape: Shape;
  encode(value: T, path?: string): unknown;
  decode(raw: unknown, path?: string): T;
}

/** The error for a value that is not what its place needs. */
export function bad(path: string, expected: string): EntremiseError {
  return new EntremiseError('bad-request', { message: `${path} must be ${expected}.` });
}

/** A codec whose value is the same in code and in CBOR. */
function checked<T>(shape: Shape, expected: string, accepts: (value: unknown) => value is T): ValueCodec<T> {
  const check = (value: unknown, path = 'the value'): T => {
    if (accepts(value)) return value;
    throw bad(path, expected);
  };
  return { shape, encode: check, decode: check };
}

/** Whole numbers from 0 to `max`. */
export function uint(max = Number.MAX_SAFE_INTEGER): ValueCodec<number> {
  return checked(
    { kind: 'uint', max },
    `a whole number up to ${max}`,
    (value): value is number =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max,
  );
}

/** u8: counts, versions, numbers of the error catalogue. */
export const u8 = uint(0xff);

/** Port numbers and other u16. */
export const u16 = uint(0xffff);

/** u32. */
export const u32 = uint(0xffff_ffff);

/** true or false. */
export const bool: ValueCodec<boolean> = checked(
  { kind: 'bool' },
  'true or false',
  (value): value is boolean => typeof value === 'boolean',
);

const loneSurrogate = /\p{Surrogate}/u;

/** Text of at most `maxBytes` bytes of UTF-8, without lone surrogates. */
export function text(maxBytes: number): ValueCodec<string> {
  return checked(
    { kind: 'text', maxBytes },
    `text of at most ${maxBytes} bytes`,
    (value): value is string =>
      typeof value === 'string' && Buffer.byteLength(value) <= maxBytes && !loneSurrogate.test(value),
  );
}

/** `value` cut to at most `maxBytes` bytes of UTF-8, between characters; lone surrogates become U+FFFD. */
export function clipText(value: string, maxBytes: number): string {
  const bytes = Buffer.from(value);
  let end = Math.min(maxBytes, bytes.length);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** A sentence for people: what is too long is cut when written, because no message may fail for its comment. */
export function sentence(maxBytes: number): ValueCodec<string> {
  const strict = text(maxBytes);
  return { ...strict, encode: (value, path) => strict.encode(clipText(value, maxBytes), path) };
}

/** A byte string of `min` to `max` bytes. */
export function bytes(min: number, max = min): ValueCodec<Uint8Array> {
  return checked(
    { kind: 'bytes', min, max },
    `a byte string of ${min === max ? min : `${min} to ${max}`} bytes`,
    (value): value is Uint8Array => value instanceof Uint8Array && value.length >= min && value.length <= max,
  );
}

/** An IP address: 4 or 16 bytes on the wire, canonical text in code. */
export const ipAddress: ValueCodec<IpText> = {
  shape: { kind: 'address' },
  encode: value => ipToBytes(value),
  decode(raw, path = 'the value') {
    if (raw instanceof Uint8Array && (raw.length === 4 || raw.length === 16)) return ipFromBytes(raw);
    throw bad(path, 'an address of 4 or 16 bytes');
  },
};

/** At most `max` values of one kind, in order. */
export function list<T>(item: ValueCodec<T>, max: number): ValueCodec<readonly T[]> {
  const each = <A, B>(values: unknown, path: string, convert: (value: A, path: string) => B): B[] => {
    if (!Array.isArray(values) || values.length > max) throw bad(path, `a list of at most ${max}`);
    return values.map((value: A, index) => convert(value, `${path}[${index}]`));
  };
  return {
    shape: { kind: 'list', item: item.shape, max },
    encode: (values, path = 'the list') => each(values, path, item.encode),
    decode: (raw, path = 'the list') => each(raw, path, item.decode),
  };
}

/** One of a closed set of names, each with its number on the wire. A number outside the set is `unsupported`. */
export function oneOf<N extends string>(numbers: Readonly<Record<N, number>>): ValueCodec<N> {
  const names = new Map((Object.keys(numbers) as N[]).map(name => [numbers[name], name]));
  return {
    shape: { kind: 'name', numbers },
    encode(name, path = 'the value') {
      if (Object.hasOwn(numbers, name)) return numbers[name];
      throw bad(path, `one of ${Object.keys(numbers).join(', ')}`);
    },
    decode(raw, path = 'the value') {
      const name = names.get(u32.decode(raw, path));
      if (name !== undefined) return name;
      throw new EntremiseError('unsupported', { message: `${path} has the unknown value ${raw}.` });
    },
  };
}

/** Always this value; carried so that a union can be told apart. */
export function constant<T extends string>(value: T, number: number): ValueCodec<T> {
  return oneOf({ [value]: number } as Record<T, number>);
}
