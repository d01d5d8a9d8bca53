import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { EntremiseError } from './errors.ts';
import { createPrivateFile, readPrivateFile, readStateFileIfPresent } from './state-file.ts';

/**
 * Ed25519 keys (RFC 8032): a member is one, the authority is one, an invitation is one. In documents and files a public
 * key is text: its 32 bytes in base64url without padding, 43 characters.
 */

/** A private key with its public half. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  /** The 32 bytes of the public key. */
  readonly publicKey: Buffer;
  /** The public key as text. */
  readonly text: string;
}

/** Everything before the 32 bytes in the DER of an Ed25519 SubjectPublicKeyInfo (RFC 8410 §4). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** Everything before the 32 bytes of the seed in the DER of an Ed25519 PKCS#8 key (RFC 8410 §7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Length of public keys and seeds in bytes. */
export const keyBytes = 32;

function signingKeyFrom(privateKey: KeyObject): SigningKey {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const publicKey = spki.subarray(spkiPrefix.length);
  return { privateKey, publicKey, text: keyToText(publicKey) };
}

/** A fresh key from the system's randomness. */
export function generateSigningKey(): SigningKey {
  return signingKeyFrom(generateKeyPairSync('ed25519').privateKey);
}

/** The key that belongs to a seed of 32 bytes: the same seed gives the same key (RFC 8032 §5.1.5). */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.length !== keyBytes) throw new EntremiseError('internal', { message: 'A seed has 32 bytes.' });
  const der = Buffer.concat([pkcs8Prefix, seed]);
  return signingKeyFrom(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

/** The signature of `bytes`, 64 bytes. */
export function signBytes(key: SigningKey, bytes: Uint8Array): Buffer {
  return sign(null, bytes, key.privateKey);
}

/** Keys that were read already: the same members come again. */
const knownKeys = new Map<string, KeyObject>();
const maxKnownKeys = 256;

function publicKeyOf(publicKey: Uint8Array): KeyObject {
  const text = keyToText(publicKey);
  const known = knownKeys.get(text);
  if (known !== undefined) return known;
  // As JWK (RFC 8037 §2): OpenSSL takes six times as long for the same key in DER.
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: text }, format: 'jwk' });
  const [oldest] = knownKeys.keys();
  if (knownKeys.size >= maxKnownKeys && oldest !== undefined) knownKeys.delete(oldest);
  knownKeys.set(text, key);
  return key;
}

/** True when `signature` is that of `bytes` by the key with these 32 public bytes. Never throws on hostile input. */
export function verifyBytes(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== keyBytes || signature.length !== 64) return false;
  try {
    return verify(null, bytes, publicKeyOf(publicKey), signature);
  } catch {
    return false;
  }
}

/** The text of a public key. */
export function keyToText(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString('base64url');
}

/** True for the one text of some public key: 43 characters of base64url whose unused bits are zero. */
export function isKeyText(text: string): boolean {
  return /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(text);
}

/**
 * The 32 bytes of a public key written as text.
 * @throws EntremiseError `bad-request` when it is none
 */
export function keyFromText(text: string): Buffer {
  if (isKeyText(text)) return Buffer.from(text, 'base64url');
  throw new EntremiseError('bad-request', { message: 'A key is 43 characters of base64url (32 bytes).' });
}

/** The JWK thumbprint of a public key (RFC 7638 §3, RFC 8037 appendix A.3), 43 characters of base64url. */
export function keyThumbprint(publicKey: Uint8Array): string {
  const jwk = `{"crv":"Ed25519","kty":"OKP","x":"${keyToText(publicKey)}"}`;
  return createHash('sha256').update(jwk).digest('base64url');
}

/**
 * Writes a key that is not on disk yet (PKCS#8 PEM, 0600).
 * @throws EntremiseError `state-unreadable`, also when the file exists: a key is never overwritten
 */
export function saveSigningKey(path: string, key: SigningKey): void {
  createPrivateFile(path, key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

function parsePrivateKey(pem: Buffer): KeyObject | undefined {
  try {
    const key = createPrivateKey({ key: pem, format: 'pem' });
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Reads a key that {@link saveSigningKey} wrote.
 * @throws EntremiseError `state-unreadable` when it is absent, readable by others, or no Ed25519 key
 */
export function loadSigningKey(path: string): SigningKey {
  const key = parsePrivateKey(readPrivateFile(path));
  if (key !== undefined) return signingKeyFrom(key);
  throw new EntremiseError('state-unreadable', {
    message: `${path} is not an Ed25519 private key in PEM; restore it from a backup, or move it away and enrol again.`,
  });
}

/**
 * The key at `path`, made there when there is none.
 * @throws EntremiseError `state-unreadable`
 */
export function loadOrCreateSigningKey(path: string): SigningKey {
  if (readStateFileIfPresent(path) === undefined) saveSigningKey(path, generateSigningKey());
  return loadSigningKey(path);
}
