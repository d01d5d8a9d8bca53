import { hash } from 'node:crypto';

/**
 * HMAC-SHA-256 (RFC 2104) of small messages under keys that are used again and again. Node's own createHmac() makes two
 * objects and keys them anew each time, which costs more than hashing a hundred bytes twice.
 */

const blockBytes = 64;
const digestBytes = 32;

interface Pads {
  readonly inner: Buffer;
  /** With room for the inner digest behind it. */
  readonly outer: Buffer;
}

const padsOfKey = new WeakMap<Uint8Array, Pads>();

function makePads(key: Uint8Array): Pads {
  if (key.length > blockBytes) throw new RangeError(`keys here have at most ${blockBytes} bytes`);
  const inner = Buffer.alloc(blockBytes);
  const outer = Buffer.alloc(blockBytes + digestBytes);
  inner.set(key);
  outer.set(key);
  for (let at = 0; at < blockBytes; at++) {
    inner[at] = (inner[at] ?? 0) ^ 0x36;
    outer[at] = (outer[at] ?? 0) ^ 0x5c;
  }
  const pads = { inner, outer };
  padsOfKey.set(key, pads);
  return pads;
}

/** Text of a byte a character is what a digest comes in cheapest. */
const sha256 = (bytes: Uint8Array) => hash('sha256', bytes, 'binary');

const smallBytes = 1024;
const scratch = Buffer.allocUnsafeSlow(blockBytes + smallBytes);

/** HMAC-SHA-256 of `head` and `body`, one behind the other. The key, at most 64 bytes, must not change afterwards. */
export function hmacSha256(key: Uint8Array, head: Uint8Array, body: Uint8Array): Buffer {
  const { inner, outer } = padsOfKey.get(key) ?? makePads(key);
  const length = blockBytes + head.length + body.length;
  const message = length <= scratch.length ? scratch.subarray(0, length) : Buffer.allocUnsafe(length);
  message.set(inner);
  message.set(head, blockBytes);
  message.set(body, blockBytes + head.length);
  outer.write(sha256(message), blockBytes, 'latin1');
  return Buffer.from(sha256(outer), 'latin1');
}
