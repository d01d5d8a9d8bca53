import { createHash, createPublicKey, KeyObject, X509Certificate } from 'node:crypto';
import { EntremiseError } from '../base/errors.ts';

/** Length of a pin in bytes. */
export const pinBytes = 32;

function publicKeyOf(source: string | Buffer | KeyObject | X509Certificate): KeyObject {
  if (source instanceof X509Certificate) return source.publicKey;
  if (source instanceof KeyObject && source.type === 'public') return source;
  return createPublicKey(source);
}

/**
 * The pin of a TLS key: SHA-256 of its SubjectPublicKeyInfo in DER, 32 bytes (P6.1). Takes a certificate, a private or
 * a public key, as object or as PEM; all that belong to one key give the same pin.
 * @throws EntremiseError `bad-config` when it is none of these
 */
export function pinOf(source: string | Buffer | KeyObject | X509Certificate): Buffer {
  try {
    const spki = publicKeyOf(source).export({ type: 'spki', format: 'der' });
    return createHash('sha256').update(spki).digest();
  } catch (cause) {
    throw new EntremiseError('bad-config', {
      message: 'This is neither a certificate nor a key in PEM; check which file was given.',
      cause,
    });
  }
}
