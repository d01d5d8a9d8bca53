import { CompactSign, compactVerify } from 'jose';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { isKeyText, type SigningKey } from '../base/keys.ts';
import { quoted } from './target.ts';

/**
 * The envelope of every signed document (P6.2): JWS compact (RFC 7515 §7.1), EdDSA over Ed25519 (RFC 8037 §3.1), and a
 * header of exactly `alg`, `typ` and `kid`. `kid` is the signer's public key itself; whether that key may sign is asked
 * of the caller, never of the document. Everything a library could be talked into by a header (jwk, jku, x5c, crit,
 * b64, zip) is refused before the library sees it.
 */

/** What one kind of document must look like. */
export interface JwsRules {
  /** Exact `typ` of the header. */
  readonly typ: string;
  /** Longest text that is looked at, in characters. */
  readonly maxBytes: number;
  /** How error sentences call it, e.g. `grant`. */
  readonly what: string;
  readonly code: ErrorCode;
}

/** A document whose signature holds. Its payload is JSON of unknown shape. */
export interface VerifiedJws {
  readonly payload: unknown;
  /** Text of the key that signed. */
  readonly signer: string;
}

/** The error for a document of that kind; `reason` continues "The grant ...". */
export function documentError(rules: JwsRules, reason: string, cause?: unknown): EntremiseError {
  return new EntremiseError(rules.code, { message: `The ${rules.what} ${reason}.`, cause });
}

/** Deepest nesting of a payload; the deepest document defined has 4. */
const maxNesting = 16;

/** How deep brackets nest and how many members are written, duplicates counted (outside strings each has one colon). */
function measureJson(text: string): { nesting: number; members: number } {
  let depth = 0;
  let nesting = 0;
  let members = 0;
  for (const sign of text.replace(/"(?:[^"\\]|\\.)*"/g, '')) {
    if (sign === '[' || sign === '{') nesting = Math.max(nesting, ++depth);
    if (sign === ']' || sign === '}') depth--;
    if (sign === ':') members++;
  }
  return { nesting, members };
}

function parsedMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inside = Object.values(value).reduce((sum: number, each) => sum + parsedMembers(each), 0);
  return Array.isArray(value) ? inside : inside + Object.keys(value).length;
}

/** JSON that every parser reads alike: valid UTF-8, no member twice, bounded nesting. */
function parseJsonStrictly(bytes: Uint8Array, rules: JwsRules, part: string): unknown {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw documentError(rules, `is malformed: its ${part} is not JSON`, cause);
  }
  const { nesting, members } = measureJson(text);
  if (nesting > maxNesting) throw documentError(rules, `is malformed: its ${part} is nested too deeply`);
  if (members === parsedMembers(value)) return value;
  throw documentError(rules, `is malformed: its ${part} says the same name twice`);
}

function signerOf(text: string, rules: JwsRules): string {
  const header = parseJsonStrictly(Buffer.from(text.split('.')[0] ?? '', 'base64url'), rules, 'header');
  const fields = typeof header === 'object' && header !== null ? (header as Record<string, unknown>) : {};
  if (fields.alg !== 'EdDSA') throw documentError(rules, 'is not signed with EdDSA');
  if (fields.typ !== rules.typ) throw documentError(rules, `does not have the type ${rules.typ}`);
  if (Object.keys(fields).sort().join() !== 'alg,kid,typ') {
    throw documentError(rules, 'has a header with other fields than alg, kid and typ');
  }
  if (typeof fields.kid === 'string' && isKeyText(fields.kid)) return fields.kid;
  throw documentError(rules, 'does not say by which key it is signed (kid)');
}

function refuseBadForm(text: string, rules: JwsRules): void {
  if (text.length > rules.maxBytes) {
    throw documentError(rules, `is longer than ${rules.maxBytes} characters`);
  }
  if (!/^[\w-]+\.[\w-]+\.[\w-]{86}$/.test(text)) throw documentError(rules, 'is not a JWS in compact form');
}

/**
 * Verifies one document. `maySign` is asked about the signing key before any cryptography.
 * @throws EntremiseError with the code of the rules, saying what is wrong
 */
export async function verifyJws(
  text: string,
  rules: JwsRules,
  maySign: (key: string) => boolean,
): Promise<VerifiedJws> {
  refuseBadForm(text, rules);
  const signer = signerOf(text, rules);
  if (!maySign(signer)) {
    throw documentError(rules, `is signed by ${quoted(signer)}, which is no key of this operator for that`);
  }
  const key = { kty: 'OKP', crv: 'Ed25519', x: signer };
  const verified = await compactVerify(text, key, { algorithms: ['EdDSA'] }).catch(cause => {
    throw documentError(rules, 'has a signature that does not verify', cause);
  });
  return { payload: parseJsonStrictly(verified.payload, rules, 'payload'), signer };
}

/**
 * The payload of a document whose signature nobody checked: to show it, never to act on it.
 * @throws EntremiseError with the code of the rules
 */
export function peekPayload(text: string, rules: JwsRules): unknown {
  refuseBadForm(text, rules);
  return parseJsonStrictly(Buffer.from(text.split('.')[1] ?? '', 'base64url'), rules, 'payload');
}

/** Signs `payload` as a document of type `typ`. */
export function signJws(typ: string, payload: object, key: SigningKey): Promise<string> {
  const bytes = Buffer.from(JSON.stringify(payload));
  return new CompactSign(bytes).setProtectedHeader({ alg: 'EdDSA', typ, kid: key.text }).sign(key.privateKey);
}
