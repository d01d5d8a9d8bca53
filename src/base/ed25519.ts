import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** Ed25519 (RFC 8032) on raw 32-byte public keys, as they travel on the wire. Synchronous and pure. */

/** The DER of a SubjectPublicKeyInfo up to the 32 bytes of the key (RFC 8410 §4). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** The DER of a PKCS #8 private key up to the 32 bytes of the seed (RFC 8410 §7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A key pair whose private half never leaves `sign`. */
export interface Signer {
  /** Raw public key, 32 bytes. */
  readonly publicKey: Buffer;
  /** The 64-byte signature over `data`. */
  sign(data: Uint8Array): Buffer;
}

/** The private key made from a 32-byte seed. */
export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
}

/** The public key object of 32 raw bytes. */
export function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
}

/** The 32 raw bytes of the public half of `key` (private or public). */
export function rawPublicKey(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
}

/** A {@link Signer} on a private key object. */
export function signerOf(privateKey: KeyObject): Signer {
  return { publicKey: rawPublicKey(privateKey), sign: data => sign(null, data, privateKey) };
}

/** True when `signature` over `data` was made with the private half of the raw public key. Never throws. */
export function verifySignature(rawKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, data, publicKeyFromRaw(rawKey), signature);
  } catch {
    return false;
  }
}
