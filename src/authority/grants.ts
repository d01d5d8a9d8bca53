import { readdirSync } from 'node:fs';
import { EntremiseError } from '../base/errors.ts';
import type { SigningKey } from '../base/keys.ts';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import type { Grant } from '../policy/grant.ts';
import { peekGrant } from '../policy/grant-verify.ts';
import { type GrantWish, resignGrant, signGrant } from '../policy/grant-wish.ts';
import type { TrustStatement } from '../policy/trust-statement.ts';
import { type Authority, authorityFiles, readAuthorityState } from './state.ts';
import { issueTrustStatement, requireTrustStatement } from './trust.ts';

/** Who signs grants and where copies are kept: an authority, or a delegate's desk with the trust statement it goes by. */
export interface GrantSigner {
  readonly directory: string;
  readonly key: SigningKey;
}

/**
 * Signs a grant and keeps a copy.
 * @throws EntremiseError `grant-invalid` when it says something that no member would accept, `grant-revoked` when the
 * terminal's key is revoked, `bad-request` when it is none, `bad-usage`, `state-unreadable`
 */
export async function issueGrant(authority: Authority, wish: GrantWish, nowMs: number): Promise<Grant> {
  return issueGrantAs(authority, await requireTrustStatement(authority), wish, nowMs);
}

/**
 * As {@link issueGrant}, by whoever may sign under this trust statement.
 * @throws EntremiseError as {@link signGrant}; `state-unreadable`
 */
export async function issueGrantAs(
  { directory, key }: GrantSigner,
  trust: TrustStatement,
  wish: GrantWish,
  nowMs: number,
): Promise<Grant> {
  const grant = await signGrant(key, trust, wish, nowMs);
  writePrivateFile(authorityFiles.grant(directory, grant.id), `${grant.text}\n`);
  return grant;
}

/**
 * Signs a grant of before anew, by the key that signs now: the same but for its id, and until the same moment.
 * @throws EntremiseError as {@link issueGrant}
 */
export async function reissueGrant(authority: Authority, before: Grant, nowMs: number): Promise<Grant> {
  const grant = await resignGrant(authority.key, await requireTrustStatement(authority), before, nowMs);
  writePrivateFile(authorityFiles.grant(authority.directory, grant.id), `${grant.text}\n`);
  return grant;
}

/** A grant that this authority issued, and what has become of it. */
export interface IssuedGrant {
  readonly grant: Grant;
  readonly status: 'valid' | 'expired' | 'revoked';
}

function statusOf(grant: Grant, revoked: ReadonlySet<string>, nowMs: number): IssuedGrant['status'] {
  if (revoked.has(grant.id)) return 'revoked';
  return grant.expiresAtMs <= nowMs ? 'expired' : 'valid';
}

function grantFiles(authority: Authority): string[] {
  try {
    return readdirSync(authorityFiles.grants(authority.directory)).filter(name => name.endsWith('.jwt'));
  } catch {
    return [];
  }
}

/**
 * Every grant that was issued, newest first. `revoked` stays so only until the grant expires.
 * @throws EntremiseError `state-unreadable`, `grant-invalid` for a file that is no grant
 */
export function listGrants(authority: Authority, nowMs: number): IssuedGrant[] {
  const revoked = new Set(readAuthorityState(authority.directory).revokedGrants.map(({ jti }) => jti));
  return grantFiles(authority)
    .map(name => readGrant(authority, name.replace(/\.jwt$/, '')))
    .map(grant => ({ grant, status: statusOf(grant, revoked, nowMs) }))
    .sort((a, b) => b.grant.issuedAtMs - a.grant.issuedAtMs);
}

/**
 * The grant with that id.
 * @throws EntremiseError `bad-usage` when there is none
 */
export function readGrant(authority: Authority, id: string): Grant {
  const valid = /^[\w-]{1,64}$/.test(id);
  const text = valid ? readStateFileIfPresent(authorityFiles.grant(authority.directory, id)) : undefined;
  if (text !== undefined) return peekGrant(text.toString().trim());
  throw new EntremiseError('bad-usage', {
    message: 'This authority has issued no grant with that id; "entremise grant list" shows all.',
  });
}

/**
 * Revokes a grant by a new trust statement.
 * @throws EntremiseError `bad-usage` when there is no such grant, and as {@link issueTrustStatement}
 */
export async function revokeGrant(authority: Authority, id: string, nowMs: number): Promise<TrustStatement> {
  const { expiresAtMs } = readGrant(authority, id);
  return issueTrustStatement(authority, { revokedGrants: [{ id, expiresAtMs }] }, nowMs);
}
