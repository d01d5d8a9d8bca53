import {
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { EntremiseError } from '../base/errors.ts';
import { lengthPrefixed } from '../base/length-prefixed.ts';
import { frameFlag, macBytes } from '../wire/spec.ts';

/** The byte strings that are signed, hashed and keyed (P6.1, P6.4). Pure; keys are raw bytes as on the wire. */

/** What a PROOF signs (P6.1). */
export interface ProofFields {
  readonly role: 'mediator' | 'terminal';
  /** SHA-256 of the SPKI of the server's TLS key. */
  readonly serverPin: Uint8Array;
  /** 32 bytes exported from the TLS session. */
  readonly exporter: Uint8Array;
  readonly nonce: Uint8Array;
  readonly key: Uint8Array;
  readonly instance: Uint8Array;
  readonly linkNo: number;
}

/** The bytes that a PROOF signs (P6.1). */
export function proofInput(fields: ProofFields): Buffer {
  const linkNo = Buffer.allocUnsafe(4);
  linkNo.writeUInt32BE(fields.linkNo);
  const { role, serverPin, exporter, nonce, key, instance } = fields;
  return lengthPrefixed('entremise proof v1', role, serverPin, exporter, nonce, key, instance, linkNo);
}

/** T, the hash both ends of an attachment sign and key from (P6.4). */
export function attachTranscript(
  mediatorKey: Uint8Array,
  attachInner: Uint8Array,
  attachedInner: Uint8Array,
): Buffer {
  return createHash('sha256')
    .update(lengthPrefixed('entremise attach v1', mediatorKey, attachInner, attachedInner))
    .digest();
}

/** The DER of an X25519 SubjectPublicKeyInfo up to the 32 bytes of the key (RFC 8410 §4). */
const x25519SpkiPrefix = Buffer.from('302a300506032b656e032100', 'hex');

/** An X25519 key pair for one attempt; `agree` gives the shared secret with the peer's raw public key. */
export interface Agreement {
  readonly publicKey: Buffer;
  /** @throws EntremiseError `proof-invalid` for a low-order key, which would make the secret known to all */
  agree(peerKey: Uint8Array): Buffer;
}

/** A fresh {@link Agreement}. */
export function newAgreement(): Agreement {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(x25519SpkiPrefix.length);
  return { publicKey: raw, agree: peerKey => sharedSecret(privateKey, peerKey) };
}

function sharedSecret(privateKey: KeyObject, peerKey: Uint8Array): Buffer {
  try {
    const key = Buffer.concat([x25519SpkiPrefix, peerKey]);
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: 'der', type: 'spki' }) });
  } catch (cause) {
    throw new EntremiseError('proof-invalid', {
      message: 'The X25519 key of the peer is not usable.',
      cause,
    });
  }
}

/** The two MAC keys of an attachment's attempt (P6.4). */
export interface AttachmentKeys {
  readonly terminalToMediator: Buffer;
  readonly mediatorToTerminal: Buffer;
}

/** HKDF-SHA-256 of the shared secret, salt T, one info a direction (P6.4). */
export function attachmentKeys(shared: Uint8Array, transcript: Uint8Array): AttachmentKeys {
  const derive = (info: string) => Buffer.from(hkdfSync('sha256', shared, transcript, info, 32));
  return { terminalToMediator: derive('entremise t2m'), mediatorToTerminal: derive('entremise m2t') };
}

/** The MAC that closes a COMMAND, RESULT, EVENT or RESUME: over type, flags but DENIED, stream and body (P6.4). */
export function controlMac(
  key: Uint8Array,
  type: number,
  flags: number,
  stream: number,
  body: Uint8Array,
): Buffer {
  const head = Buffer.allocUnsafe(6);
  head.writeUInt8(type, 0);
  head.writeUInt8(flags & ~frameFlag.denied, 1);
  head.writeUInt32BE(stream, 2);
  return createHmac('sha256', key).update(head).update(body).digest().subarray(0, macBytes);
}

/** True when `mac` is the one that {@link controlMac} gives; takes the same time whether or not. */
export function controlMacMatches(expected: Uint8Array, mac: Uint8Array): boolean {
  return expected.length === mac.length && timingSafeEqual(expected, mac);
}
