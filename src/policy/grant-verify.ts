import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { boundLimits } from './bounds.ts';
import {
  type AcceptedGrant,
  type Grant,
  grantClaimsSchema,
  grantRules,
  maxGrantLifeMs,
  maxSkewMs,
} from './grant.ts';
import { documentError, peekPayload, verifyJws } from './jws.ts';
import { selectorsFit } from './permissions.ts';
import { firstIssue } from './schema.ts';
import type { Delegate, TrustStatement } from './trust-statement.ts';

type ReadClaims = v.InferOutput<typeof grantClaimsSchema>;

function readClaims(payload: unknown): ReadClaims {
  const parsed = v.safeParse(grantClaimsSchema, payload, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw documentError(grantRules, `is malformed: ${firstIssue(parsed.issues)}`);
}

function grantFrom(claims: ReadClaims, text: string, signer: string): Grant {
  const { jti, iat, exp, cnf, ...said } = claims;
  return { ...said, id: jti, terminalThumbprint: cnf.jkt, issuedAtMs: iat, expiresAtMs: exp, signer, text };
}

function delegateOf(trust: TrustStatement, key: string): Delegate | undefined {
  return trust.delegates.find(delegate => delegate.key === key);
}

function grantExpired(grant: Grant, nowMs: number): EntremiseError {
  const minutes = Math.max(0, Math.round((nowMs - grant.expiresAtMs) / 60_000));
  return new EntremiseError('grant-expired', {
    message: `The grant ${grant.id} expired ${minutes} min ago; ask the operator for a new one.`,
    by: 'grant',
  });
}

function refuseBadLife(grant: Grant, nowMs: number): void {
  const longestMs = maxGrantLifeMs[grant.purpose];
  if (grant.expiresAtMs <= grant.issuedAtMs) throw documentError(grantRules, 'expires before it was issued');
  if (grant.expiresAtMs - grant.issuedAtMs > longestMs) {
    const hours = longestMs / 3_600_000;
    throw documentError(grantRules, `lives longer than the ${hours} h that ${grant.purpose} may have`);
  }
  if (grant.issuedAtMs > nowMs + maxSkewMs) {
    throw documentError(
      grantRules,
      "was issued in the future: this machine's clock or the authority's is wrong",
    );
  }
  if (grant.expiresAtMs <= nowMs) throw grantExpired(grant, nowMs);
}

/** The delegate who signed the grant; undefined when an authority key did. */
export function delegateBehind({ signer }: Grant, trust: TrustStatement): Delegate | undefined {
  return trust.authorityKeys.includes(signer) ? undefined : delegateOf(trust, signer);
}

/** Why the grant's signer may not have signed it, continuing "The grant", or undefined. */
function signerRefusal(grant: Grant, trust: TrustStatement): string | undefined {
  if (trust.authorityKeys.includes(grant.signer)) return undefined;
  const delegate = delegateOf(trust, grant.signer);
  if (delegate === undefined) return `is signed by a key that may not sign grants for ${trust.operator}`;
  if (!delegate.purposes.includes(grant.purpose)) {
    return `is for ${grant.purpose}, which its signer ${delegate.name} may not grant`;
  }
  if (delegate.terminals?.includes(grant.terminalThumbprint) === false)
    return `is for a terminal to which its signer ${delegate.name} may grant nothing`;
  return grant.expiresAtMs > delegate.notAfterMs
    ? `lives longer than its signer ${delegate.name}`
    : undefined;
}

function revokedByName(grant: Grant, trust: TrustStatement): string | undefined {
  if (trust.revokedGrants.has(grant.id)) return `has been revoked by ${trust.operator}`;
  const keyRevoked = trust.revokedThumbprints.has(grant.terminalThumbprint);
  return keyRevoked ? `was made for a key that ${trust.operator} has revoked` : undefined;
}

/** Why this trust statement takes the grant back, as one sentence, or undefined while it stands. */
export function revocationOf(grant: Grant, trust: TrustStatement): string | undefined {
  const reason = revokedByName(grant, trust) ?? signerRefusal(grant, trust);
  return reason === undefined ? undefined : `The grant ${grant.id} ${reason}.`;
}

/** True when the grant, and the delegate who signed it if one did, name this mediator (P1.8, P6.3). */
export function grantNamesMediator(
  grant: Grant,
  trust: TrustStatement,
  mediator: { readonly key: string; readonly name: string; readonly labels: readonly string[] },
): boolean {
  const delegated = delegateBehind(grant, trust)?.mediators;
  const withinDelegate = delegated === undefined || selectorsFit(delegated, mediator);
  return withinDelegate && selectorsFit(grant.mediators, mediator);
}

/**
 * Verifies a grant: signed by an authority key or by a delegate within its bounds, well-formed, in time, not revoked.
 * `nowMs` is trusted time (P6.7) in milliseconds since 1970.
 * @throws EntremiseError `grant-invalid`, `grant-expired`, `grant-revoked`
 */
export async function verifyGrant(text: string, trust: TrustStatement, nowMs: number): Promise<Grant> {
  const maySign = (key: string) => trust.authorityKeys.includes(key) || delegateOf(trust, key) !== undefined;
  const { payload, signer } = await verifyJws(text, grantRules, maySign);
  const grant = grantFrom(readClaims(payload), text, signer);
  const overreach = signerRefusal(grant, trust);
  if (overreach !== undefined) throw documentError(grantRules, overreach);
  refuseBadLife(grant, nowMs);
  const revoked = revocationOf(grant, trust);
  if (revoked === undefined)
    return { ...grant, limits: boundLimits(grant.limits, delegateBehind(grant, trust)?.limits) };
  throw new EntremiseError('grant-revoked', { message: revoked, by: 'grant' });
}

/**
 * The grant with its expiry on the monotonic clock. `trustedMs` is trusted time (P6.7), `nowMs` the monotonic clock at
 * the same moment.
 * @throws EntremiseError `grant-expired`
 */
export function acceptGrant(grant: Grant, trustedMs: number, nowMs: number): AcceptedGrant {
  if (grant.expiresAtMs <= trustedMs) throw grantExpired(grant, trustedMs);
  return { ...grant, deadlineMs: nowMs + grant.expiresAtMs - trustedMs };
}

/**
 * What a grant says, without regard to who signed it: to show it, never to act on it.
 * @throws EntremiseError `grant-invalid`
 */
export function peekGrant(text: string): Grant {
  return grantFrom(readClaims(peekPayload(text, grantRules)), text, '');
}
