import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { EntremiseError } from '../base/errors.ts';
import { keyFromText, keyThumbprint } from '../base/keys.ts';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import { defaultGrantLifeMs, type Grant, type GrantClaims, grantRules } from '../policy/grant.ts';
import { peekGrant, verifyGrant } from '../policy/grant-verify.ts';
import { signJws } from '../policy/jws.ts';
import { permissionVerbs } from '../policy/schema.ts';
import type { TrustStatement } from '../policy/trust-statement.ts';
import { type Authority, authorityFiles, readAuthorityState } from './state.ts';
import { issueTrustStatement, requireTrustStatement } from './trust.ts';

/** What a grant is to say. What is absent is {@link defaultGrantClaims}'. */
export interface GrantWish {
  /** Text of the terminal's key. */
  readonly terminalKey: string;
  readonly mediators: GrantClaims['mediators'];
  readonly purpose: GrantClaims['purpose'];
  readonly commands?: GrantClaims['commands'];
  readonly targets?: GrantClaims['targets'];
  readonly ports?: GrantClaims['ports'];
  readonly limits?: GrantClaims['limits'];
  readonly lifeMs?: number;
}

/** All commands; any number of the devices of the LAN; ports on the gateway's LAN addresses, from 1024 up. */
export const defaultGrantClaims = {
  commands: [...permissionVerbs],
  targets: { networks: ['lan'], tcp: ['1-65535'], udp: ['1-65535'] },
  ports: { addresses: ['lan'], tcp: ['1024-65535'], udp: ['1024-65535'] },
};

function claimsOf(wish: GrantWish, nowMs: number): GrantClaims {
  const iat = Math.floor(nowMs / 1000);
  return {
    jti: randomBytes(8).toString('hex'),
    iat,
    exp: iat + Math.floor((wish.lifeMs ?? defaultGrantLifeMs) / 1000),
    cnf: { jkt: keyThumbprint(keyFromText(wish.terminalKey)) },
    mediators: wish.mediators,
    purpose: wish.purpose,
    commands: wish.commands ?? defaultGrantClaims.commands,
    targets: wish.targets ?? defaultGrantClaims.targets,
    ports: wish.ports ?? defaultGrantClaims.ports,
    ...(wish.limits === undefined ? {} : { limits: wish.limits }),
  };
}

/**
 * Signs a grant and keeps a copy.
 * @throws EntremiseError `grant-invalid` when it says something that no member would accept, `grant-revoked` when the
 * terminal's key is revoked, `bad-request` when it is none, `bad-usage`, `state-unreadable`
 */
export async function issueGrant(authority: Authority, wish: GrantWish, nowMs: number): Promise<Grant> {
  const trust = await requireTrustStatement(authority);
  const text = await signJws(grantRules.typ, claimsOf(wish, nowMs), authority.key);
  const grant = await verifyGrant(text, trust, nowMs);
  writePrivateFile(authorityFiles.grant(authority.directory, grant.id), `${text}\n`);
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
