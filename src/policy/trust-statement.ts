import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { keyFromText, keyThumbprint } from '../base/keys.ts';
import { type Bounds, boundEntries } from './bounds.ts';
import { type Inviter, readInviters } from './inviter.ts';
import { documentError, type JwsRules, verifyJws } from './jws.ts';
import { type MediatorSelector, selectorSchema } from './permissions.ts';
import {
  closedObject,
  firstIssue,
  key32,
  listOf,
  memberName,
  oneOf,
  openObject,
  parsedText,
  purposes,
  timeClaim,
  wholeNumber,
} from './schema.ts';
import { parseServerAddress, type ServerAddress } from './server-address.ts';

/**
 * The trust statement (P6.2): what every member believes about its operator, and believes from nowhere else. The one
 * with the highest seq counts. Members of it that this version does not know are ignored, so that an old member still
 * learns of new revocations.
 */
export interface TrustStatement {
  readonly operator: string;
  readonly seq: number;
  readonly issuedAtMs: number;
  /** Keys that may sign everything, revoked ones left out. */
  readonly authorityKeys: readonly string[];
  readonly delegates: readonly Delegate[];
  /** Who else may invite mediators, revoked ones left out. */
  readonly inviters: readonly Inviter[];
  /** SHA-256 of the SPKI of each server's TLS key, base64url. */
  readonly serverPins: readonly string[];
  readonly serverAddresses: readonly ServerAddress[];
  readonly revokedGrants: ReadonlySet<string>;
  readonly revokedKeys: ReadonlySet<string>;
  /** The same keys by their JWK thumbprint, which is how a grant names its terminal. */
  readonly revokedThumbprints: ReadonlySet<string>;
  /** The document as it was signed, to pass on. */
  readonly text: string;
  readonly signer: string;
}

/** A key that may sign grants, and only grants, within what stands here: a request passes the grant and these bounds. */
export interface Delegate extends Bounds {
  readonly key: string;
  readonly name: string;
  /** No grant of it is good beyond this. */
  readonly notAfterMs: number;
  readonly purposes: readonly ('assistance' | 'service')[];
  /** The only mediators its grants open; all when absent. */
  readonly mediators: readonly MediatorSelector[] | undefined;
  /** JWK thumbprints of the only terminals that its grants may be for; any when absent. */
  readonly terminals?: readonly string[] | undefined;
}

/** Type and size of a trust statement. Its size is what one document of a STATEMENT may have. */
export const trustStatementRules: JwsRules = {
  typ: 'entremise-trust+jwt',
  maxBytes: 16_384,
  what: 'trust statement',
  code: 'document-invalid',
};

const delegateSchema = closedObject({
  key: key32,
  name: memberName,
  notAfter: timeClaim,
  purposes: listOf(oneOf(purposes), 1, purposes.length),
  mediators: v.optional(listOf(selectorSchema, 1, 64)),
  terminals: v.optional(listOf(key32, 1, 64)),
  ...boundEntries,
});

/** Name of an operator. */
export const operatorName = v.pipe(
  v.string('must be text'),
  v.regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,62}$/u,
    'must be 1 to 63 letters, digits, blanks, ".", "_" or "-"',
  ),
);

const claimsSchema = openObject({
  operator: operatorName,
  seq: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  iat: timeClaim,
  authorityKeys: listOf(key32, 1, 8),
  delegates: v.optional(listOf(delegateSchema, 0, 32), []),
  inviters: v.optional(listOf(v.unknown(), 0, 32), []),
  serverPins: listOf(key32, 1, 8),
  serverAddresses: v.optional(listOf(parsedText(parseServerAddress), 0, 16), []),
  revokedGrants: v.optional(
    listOf(openObject({ jti: v.string('must be text'), exp: timeClaim }), 0, 4096),
    [],
  ),
  revokedKeys: v.optional(listOf(key32, 0, 4096), []),
});

function trustStatementFrom(
  claims: v.InferOutput<typeof claimsSchema>,
  text: string,
  signer: string,
): TrustStatement {
  const revokedKeys = new Set(claims.revokedKeys);
  return {
    operator: claims.operator,
    seq: claims.seq,
    issuedAtMs: claims.iat,
    authorityKeys: claims.authorityKeys.filter(key => !revokedKeys.has(key)),
    delegates: claims.delegates
      .filter(delegate => !revokedKeys.has(delegate.key))
      .map(({ notAfter, mediators, ...rest }) => ({ ...rest, notAfterMs: notAfter, mediators })),
    inviters: readInviters(claims.inviters).filter(({ key }) => !revokedKeys.has(key)),
    serverPins: claims.serverPins,
    serverAddresses: claims.serverAddresses,
    revokedGrants: new Set(claims.revokedGrants.map(({ jti }) => jti)),
    revokedKeys,
    revokedThumbprints: new Set(claims.revokedKeys.map(key => keyThumbprint(keyFromText(key)))),
    text,
    signer,
  };
}

/**
 * Verifies a trust statement. `trustedKeys` are the authority keys of the statement held so far, or the one that an
 * enrolment code vouched for. Its time is not checked: it is itself what time is learned from (P6.7).
 * @throws EntremiseError `document-invalid`
 */
export async function verifyTrustStatement(
  text: string,
  trustedKeys: readonly string[],
): Promise<TrustStatement> {
  const { payload, signer } = await verifyJws(text, trustStatementRules, key => trustedKeys.includes(key));
  const parsed = v.safeParse(claimsSchema, payload, { abortEarly: true });
  if (!parsed.success) throw documentError(trustStatementRules, `is malformed: ${firstIssue(parsed.issues)}`);
  const statement = trustStatementFrom(parsed.output, text, signer);
  if (statement.authorityKeys.length > 0) return statement;
  throw documentError(trustStatementRules, 'revokes every authority key');
}

/**
 * The statement to keep of the two: the one with the higher seq.
 * @throws EntremiseError `document-invalid` when the candidate is another operator's or signed by a key that the
 * current one does not hold for an authority's any more
 */
export function acceptTrust(current: TrustStatement | undefined, candidate: TrustStatement): TrustStatement {
  if (current === undefined) return candidate;
  if (candidate.seq <= current.seq) return current;
  if (candidate.operator !== current.operator) {
    throw documentError(trustStatementRules, `is not of the operator ${current.operator}`);
  }
  if (current.authorityKeys.includes(candidate.signer)) return candidate;
  throw documentError(trustStatementRules, 'is signed by a key that is no authority key any more');
}

/** True when the key has been revoked. */
export function isKeyRevoked(trust: TrustStatement, key: string): boolean {
  return trust.revokedKeys.has(key);
}

/**
 * Refuses a revoked key.
 * @throws EntremiseError `key-revoked`
 */
export function refuseRevokedKey(trust: TrustStatement, key: string, whose: string): void {
  if (!isKeyRevoked(trust, key)) return;
  throw new EntremiseError('key-revoked', {
    message: `${whose} has been revoked by the operator ${trust.operator}.`,
  });
}
