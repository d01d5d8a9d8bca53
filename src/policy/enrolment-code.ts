import { createHash, hkdfSync, timingSafeEqual } from 'node:crypto';
import { EntremiseError } from '../base/errors.ts';
import { keyFromText, type SigningKey, signingKeyFromSeed } from '../base/keys.ts';
import { lengthPrefixed } from '../base/length-prefixed.ts';

/**
 * The code that a person carries from the authority to a new member (P6.5): a secret of 128 bits, from which the
 * one-time invitation key is made, and 128 bits of a hash that tells the right server and authority from any other.
 *
 * On paper: 54 characters of Crockford's base32 (no I, L, O, U) in nine groups of six. 256 bits, then 14 bits of
 * checksum, so a slip of the pen is told apart from a wrong code before anything is sent.
 */
export interface EnrolmentCode {
  /** 16 bytes. Never sent, never logged. */
  readonly secret: Buffer;
  /** 16 bytes: {@link operatorHash}. */
  readonly operatorHash: Buffer;
}

const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const halfBytes = 16;
const checkBits = 14n;
const codeLength = 54;
const groupLength = 6;

/** What the code says of the operator: 16 bytes of SHA-256 over the server's pin and the authority's key. */
export function operatorHash(serverPin: string, authorityKey: string): Buffer {
  const input = lengthPrefixed('entremise code v1', keyFromText(serverPin), keyFromText(authorityKey));
  return createHash('sha256').update(input).digest().subarray(0, halfBytes);
}

/** True when the code was made for this server's pin and this authority's key (both base64url of 32 bytes). */
export function codeIsFor(code: EnrolmentCode, serverPin: string, authorityKey: string): boolean {
  return timingSafeEqual(code.operatorHash, operatorHash(serverPin, authorityKey));
}

/** The invitation key: the same at the authority that made the code and at the member that types it. */
export function invitationKeyOf(code: EnrolmentCode): SigningKey {
  const seed = hkdfSync('sha256', code.secret, '', 'entremise invitation key v1', 32);
  return signingKeyFromSeed(Buffer.from(seed));
}

function checksumOf(bytes: Uint8Array): bigint {
  const hash = createHash('sha256').update(lengthPrefixed('entremise code check v1', bytes)).digest();
  return BigInt(hash.readUInt16BE(0)) >> (16n - checkBits);
}

/** The code as people copy it: `XXXXXX-XXXXXX-...`. */
export function formatEnrolmentCode(code: EnrolmentCode): string {
  const bytes = Buffer.concat([code.secret, code.operatorHash]);
  let value = (BigInt(`0x${bytes.toString('hex')}`) << checkBits) | checksumOf(bytes);
  let text = '';
  for (let index = 0; index < codeLength; index++) {
    text = `${digits[Number(value & 31n)]}${text}`;
    value >>= 5n;
  }
  return (text.match(new RegExp(`.{${groupLength}}`, 'g')) ?? []).join('-');
}

function codeError(reason: string): EntremiseError {
  return new EntremiseError('code-invalid', { message: `The enrolment code ${reason}.` });
}

/** What was typed, as digits 0 to 31. */
function digitsOf(text: string): number[] {
  const plain = text.toUpperCase().replace(/[\s\u2010-\u2015-]/g, '');
  const read = plain.replace(/O/g, '0').replace(/[IL]/g, '1');
  const values = [...read].map(sign => digits.indexOf(sign));
  const wrong = values.indexOf(-1);
  if (wrong !== -1) {
    const group = Math.floor(wrong / groupLength) + 1;
    throw codeError(
      `has a character in group ${group} that no code has; only digits and letters but U stand in it`,
    );
  }
  if (values.length !== codeLength) {
    throw codeError(`has ${values.length} characters, but it must have ${codeLength}: nine groups of six`);
  }
  return values;
}

/**
 * Reads a code as typed: upper or lower case, blanks and dashes anywhere, O for 0, I and L for 1.
 * @throws EntremiseError `code-invalid`, saying what is wrong without repeating the code
 */
export function parseEnrolmentCode(text: string): EnrolmentCode {
  if (text.length > 1024) throw codeError('is far too long');
  const value = digitsOf(text).reduce((sum, digit) => (sum << 5n) | BigInt(digit), 0n);
  const bytes = Buffer.from((value >> checkBits).toString(16).padStart(halfBytes * 4, '0'), 'hex');
  if (checksumOf(bytes) !== (value & ((1n << checkBits) - 1n))) {
    throw codeError('does not add up: at least one character is mistyped');
  }
  return { secret: bytes.subarray(0, halfBytes), operatorHash: bytes.subarray(halfBytes) };
}
