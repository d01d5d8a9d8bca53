import { decode, encode, Tokenizer } from 'cborg';
import { EntremiseError } from '../base/errors.ts';

/**
 * Strict CBOR (P1.5). What cborg does not refuse by itself is refused here: nesting (a few bytes can ask for thousands
 * of levels), bad UTF-8 and unsorted keys. The last two show because whatever is accepted must encode to the same bytes.
 */

const maxDepth = 10;

const strictOptions = {
  strict: true,
  useMaps: true,
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
  allowBigInt: false,
} as const;

/** Counts open arrays and maps in front of cborg's own recursion. */
class DepthLimit {
  private readonly inner: Tokenizer;
  /** Items still to come, of each array and map that is open. */
  private readonly open: number[] = [];

  constructor(bytes: Uint8Array) {
    this.inner = new Tokenizer(bytes, strictOptions);
  }

  pos(): number {
    return this.inner.pos();
  }

  done(): boolean {
    return this.inner.done();
  }

  next(): ReturnType<Tokenizer['next']> {
    const token = this.inner.next();
    const last = this.open.length - 1;
    if (last >= 0) this.open[last] = (this.open[last] ?? 0) - 1;
    const items = token.type.name === 'array' ? token.value : token.type.name === 'map' ? 2 * token.value : 0;
    if (items > 0) this.enter(items);
    else this.leaveFinished();
    return token;
  }

  private enter(items: number): void {
    if (this.open.length >= maxDepth) throw new Error(`nested deeper than ${maxDepth}`);
    this.open.push(items);
  }

  /** A container whose last item is itself a container stays open until that one is finished. */
  private leaveFinished(): void {
    while (this.open.at(-1) === 0) this.open.pop();
  }
}

/** Deterministic CBOR of numbers, text, byte strings, booleans, arrays and Maps (RFC 8949 §4.2.1 order of keys). */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/**
 * The value that `bytes` encode; maps come as Map.
 * @throws EntremiseError `bad-request` for anything but one deterministic, shallow, complete item
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = decode(bytes, { ...strictOptions, tokenizer: new DepthLimit(bytes) });
  } catch (cause) {
    throw new EntremiseError('bad-request', { message: 'The body is not strict CBOR.', cause });
  }
  if (!sameBytes(encode(value), bytes)) {
    throw new EntremiseError('bad-request', { message: 'The body is not deterministic CBOR.' });
  }
  return value;
}
