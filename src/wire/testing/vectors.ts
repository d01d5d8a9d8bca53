import { readFileSync } from 'node:fs';

/** The golden vectors of src/wire/vectors, for tests. Byte strings are written h'…' in them (RFC 8949 §8). */

/** One control or binary body: its value and its bytes. */
export interface BodyVector {
  readonly name: string;
  readonly message: string;
  readonly value: unknown;
  readonly hex: string;
  /** Binary bodies only: how many bytes at least make a body. */
  readonly headBytes?: number;
}

/** One whole frame. `type` is a name of spec.ts, or a number that this version does not know. */
export interface FrameVector {
  readonly name: string;
  readonly type: string | number;
  readonly flags: readonly string[];
  readonly label: number;
  readonly stream: number;
  readonly body: string;
  readonly hex: string;
}

// tsc copies no JSON, so the compiled tests read it where it lies.
const folder = new URL(
  import.meta.url.includes('/dist/src/') ? '../../../../src/wire/vectors/' : '../vectors/',
  import.meta.url,
);

/** The parsed file of a group. */
export function readGroup(group: string): unknown {
  return JSON.parse(readFileSync(new URL(`${group}.vectors.json`, folder), 'utf8'));
}

function vectorsOf<V>(group: string): V[] {
  return (readGroup(group) as { vectors: V[] }).vectors;
}

/** Every vector of a CBOR body. */
export const controlVectors = ['link', 'attach', 'control', 'resume'].flatMap(group =>
  vectorsOf<BodyVector>(group),
);

/** Every vector of a body with fixed layout. */
export const binaryVectors = vectorsOf<BodyVector>('binary');

/** Every vector of a frame. */
export const frameVectors = vectorsOf<FrameVector>('frames');

/** `value` with each h'…' made the bytes that it writes. */
export function withBytes(value: unknown): unknown {
  if (typeof value === 'string') {
    const hex = /^h'([0-9a-f]*)'$/.exec(value)?.[1];
    return hex === undefined ? value : new Uint8Array(Buffer.from(hex, 'hex'));
  }
  return mapped(value, withBytes);
}

/** `value` with each byte string written h'…'. */
export function withHex(value: unknown): unknown {
  return value instanceof Uint8Array ? `h'${Buffer.from(value).toString('hex')}'` : mapped(value, withHex);
}

function mapped(value: unknown, convert: (item: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, convert(item)]));
}
