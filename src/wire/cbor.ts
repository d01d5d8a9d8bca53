import { EntremiseError } from '../base/errors.ts';

export { encodeCbor } from './cbor-writer.ts';

/**
 * The profile of CBOR that control bodies use (P1.5): unsigned whole numbers up to 2^53 - 1, byte strings, UTF-8 text,
 * arrays, maps whose keys are unsigned whole numbers in rising order, false and true; every length definite and every
 * head as short as it can be (RFC 8949 §4.2.1). Each value has so exactly one encoding.
 *
 * Reading is done here and not by a general decoder, because this is what the whole world can feed bytes to: a general
 * one had to be told to refuse most of CBOR, handed out byte strings that share memory with the receive buffer, and
 * dropped a leading U+FEFF. Nothing is allocated for what a head merely announces.
 */

/** Arrays and maps inside one another, the outermost counted (the deepest message, PRESENCE, needs 8). */
export const maxNesting = 10;

/** Arrays and maps of one body: a byte can ask for one that takes a hundred in memory. */
export const maxContainers = 32_768;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const major = { uint: 0, bytes: 2, text: 3, array: 4, map: 5, simple: 7 } as const;

function refuse(at: number, what: string): EntremiseError {
  return new EntremiseError('bad-request', {
    message: `The body is not strict CBOR: ${what} at byte ${at}.`,
  });
}

class Reader {
  private readonly view: DataView;
  private at = 0;
  private containers = 0;

  // A plain view, so that slice() copies also when a Buffer was given.
  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  whole(): unknown {
    const value = this.item(1);
    if (this.at !== this.view.byteLength) throw refuse(this.at, 'trailing bytes');
    return value;
  }

  private item(depth: number): unknown {
    const start = this.at;
    const head = this.uint(1);
    switch (head >> 5) {
      case major.uint:
        return this.argument(head, start);
      case major.bytes:
        return this.take(this.argument(head, start)).slice();
      case major.text:
        return this.text(this.argument(head, start), start);
      case major.array:
        return this.array(this.argument(head, start), depth, start);
      case major.map:
        return this.map(this.argument(head, start), depth, start);
      case major.simple:
        if (head === 0xf4 || head === 0xf5) return head === 0xf5;
    }
    throw refuse(start, `the kind 0x${head.toString(16)}, which is not used here,`);
  }

  private need(byteCount: number): void {
    if (byteCount > this.view.byteLength - this.at)
      throw refuse(this.at, 'the end of the bytes came too soon');
  }

  private take(byteCount: number): Uint8Array {
    this.need(byteCount);
    const taken = new Uint8Array(this.view.buffer, this.view.byteOffset + this.at, byteCount);
    this.at += byteCount;
    return taken;
  }

  private uint(width: 1 | 2 | 4 | 8): number {
    this.need(width);
    const at = this.at;
    this.at += width;
    if (width === 1) return this.view.getUint8(at);
    if (width === 2) return this.view.getUint16(at);
    if (width === 4) return this.view.getUint32(at);
    return this.view.getUint32(at) * 2 ** 32 + this.view.getUint32(at + 4);
  }

  /** The number, or the length, that a head carries; refused unless in its shortest form. */
  private argument(head: number, start: number): number {
    const info = head & 0x1f;
    if (info < 24) return info;
    if (info > 27) throw refuse(start, 'an indefinite or reserved length');
    const width = ([1, 2, 4, 8] as const)[info - 24] ?? 8;
    const value = this.uint(width);
    const least = width === 1 ? 24 : 2 ** (4 * width);
    if (value < least) throw refuse(start, 'a number longer than it need be');
    if (value > Number.MAX_SAFE_INTEGER) throw refuse(start, 'a number beyond 2^53 - 1');
    return value;
  }

  private text(byteCount: number, start: number): string {
    const bytes = this.take(byteCount);
    try {
      return utf8.decode(bytes);
    } catch {
      throw refuse(start, 'text that is not UTF-8');
    }
  }

  private enter(depth: number, start: number): void {
    if (depth > maxNesting) throw refuse(start, `nesting deeper than ${maxNesting}`);
    this.containers += 1;
    if (this.containers > maxContainers) throw refuse(start, `more than ${maxContainers} arrays and maps`);
  }

  private array(length: number, depth: number, start: number): unknown[] {
    this.enter(depth, start);
    this.need(length); // an item has at least one byte
    const items: unknown[] = [];
    for (let index = 0; index < length; index += 1) items.push(this.item(depth + 1));
    return items;
  }

  private map(length: number, depth: number, start: number): Map<number, unknown> {
    this.enter(depth, start);
    this.need(2 * length);
    const entries = new Map<number, unknown>();
    let last = -1;
    for (let index = 0; index < length; index += 1) {
      const keyAt = this.at;
      const head = this.uint(1);
      if (head >> 5 !== major.uint) throw refuse(keyAt, 'a map key that is not an unsigned whole number');
      const key = this.argument(head, keyAt);
      if (key <= last) throw refuse(keyAt, 'a map key twice or out of order');
      last = key;
      entries.set(key, this.item(depth + 1));
    }
    return entries;
  }
}

/**
 * The value that `bytes` encode; maps come as Map, byte strings as copies.
 * @throws EntremiseError `bad-request`, naming the byte, for anything but one complete item of the profile
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  return new Reader(bytes).whole();
}
