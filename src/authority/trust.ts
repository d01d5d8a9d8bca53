import { EntremiseError } from '../base/errors.ts';
import { isKeyText } from '../base/keys.ts';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import { maxSkewMs } from '../policy/grant.ts';
import { signJws } from '../policy/jws.ts';
import { type TrustStatement, trustStatementRules, verifyTrustStatement } from '../policy/trust-statement.ts';
import {
  type Authority,
  type AuthorityState,
  authorityFiles,
  readAuthorityState,
  whileLocked,
  writeAuthorityState,
} from './state.ts';

/** What a new trust statement says otherwise than the one before. What is absent stays. */
export interface TrustChanges {
  /** SHA-256 of the SPKI of the servers' TLS keys, base64url; the first is the one in use. */
  readonly serverPins?: readonly string[];
  /** `host:number`, as members are to try them. */
  readonly serverAddresses?: readonly string[];
  /** Added to what is revoked. */
  readonly revokedGrants?: readonly { readonly id: string; readonly expiresAtMs: number }[];
  readonly revokedKeys?: readonly string[];
  /** Keys of the authority that sign no more, all of them. */
  readonly retiring?: readonly string[];
  /** As they stand in the statement; each takes the place of one with its name. */
  readonly addedDelegates?: readonly DelegateClaims[];
  /** Names. */
  readonly removedDelegates?: readonly string[];
  /** As they stand in the statement; each takes the place of one with its name. */
  readonly addedInviters?: readonly DelegateClaims[];
  /** Names. */
  readonly removedInviters?: readonly string[];
}

/** A delegate, or an inviter, as it stands in the statement (docs/security.md). */
export interface DelegateClaims {
  readonly [claim: string]: unknown;
  readonly key: string;
  readonly name: string;
  /** Seconds since 1970. */
  readonly notAfter: number;
}

/** A revoked grant need not be named any more when it has expired by every clock. */
function stillNeeded(revoked: { exp: number }, nowMs: number): boolean {
  return revoked.exp * 1000 + maxSkewMs > nowMs;
}

/** Those of before, and those that are added, in the place of their namesakes. */
function namedAfter(
  what: 'delegate' | 'inviter',
  before: AuthorityState['delegates'],
  added: readonly DelegateClaims[] = [],
  removed: readonly string[] = [],
): AuthorityState['delegates'] {
  const unknown = removed.find(name => !before.some(each => each.name === name));
  if (unknown !== undefined)
    throw new EntremiseError('bad-usage', { message: `There is no ${what} ${JSON.stringify(unknown)}.` });
  const gone = [...removed, ...added.map(({ name }) => name)];
  return [...before.filter(({ name }) => !gone.includes(String(name))), ...added];
}

/** What is over is left out. */
function delegatesAfter(state: AuthorityState, changes: TrustChanges, nowMs: number) {
  const { addedDelegates, removedDelegates } = changes;
  const named = namedAfter('delegate', state.delegates, addedDelegates, removedDelegates);
  return named.filter(({ notAfter }) => stillNeeded({ exp: Number(notAfter) }, nowMs));
}

/** Those that are over stay until they are removed: members rest on their word. */
function invitersAfter(state: AuthorityState, { addedInviters, removedInviters }: TrustChanges) {
  return namedAfter('inviter', state.inviters, addedInviters, removedInviters);
}

function changedState(state: AuthorityState, changes: TrustChanges, nowMs: number): AuthorityState {
  const added = (changes.revokedGrants ?? []).map(({ id, expiresAtMs }) => ({
    jti: id,
    exp: Math.ceil(expiresAtMs / 1000),
  }));
  const known = state.revokedGrants.filter(each => !added.some(({ jti }) => jti === each.jti));
  return {
    ...state,
    trustSeq: state.trustSeq + 1,
    serverPins: [...(changes.serverPins ?? state.serverPins)],
    serverAddresses: [...(changes.serverAddresses ?? state.serverAddresses)],
    delegates: delegatesAfter(state, changes, nowMs),
    inviters: invitersAfter(state, changes),
    revokedGrants: [...known, ...added].filter(each => stillNeeded(each, nowMs)),
    revokedKeys: [...new Set([...state.revokedKeys, ...(changes.revokedKeys ?? [])])],
    retiring: [...(changes.retiring ?? state.retiring)],
  };
}

function claimsOf(authority: Authority, state: AuthorityState, nowMs: number): object {
  return {
    operator: state.operator,
    seq: state.trustSeq,
    iat: Math.floor(nowMs / 1000),
    authorityKeys: [...new Set([...authority.publicKeys, ...state.retiring])],
    delegates: state.delegates,
    ...(state.inviters.length === 0 ? {} : { inviters: state.inviters }),
    serverPins: state.serverPins,
    serverAddresses: state.serverAddresses,
    revokedGrants: state.revokedGrants,
    revokedKeys: state.revokedKeys,
  };
}

async function signStatement(
  authority: Authority,
  state: AuthorityState,
  nowMs: number,
): Promise<TrustStatement> {
  const text = await signJws(trustStatementRules.typ, claimsOf(authority, state, nowMs), authority.key);
  if (text.length > trustStatementRules.maxBytes) {
    throw new EntremiseError('limit', {
      message: `The trust statement would have ${text.length} characters, ${trustStatementRules.maxBytes} are allowed: too much is revoked at once, or delegates and inviters say too much; wait until revoked grants expire, name fewer, or start a new operator.`,
    });
  }
  return verifyTrustStatement(text, authority.publicKeys);
}

/**
 * Issues a new trust statement, with a higher seq than any before, to be pushed to the server.
 * @throws EntremiseError `document-invalid` when a change is malformed, `limit` when it gets too long,
 * `bad-usage` when no server is known yet or the authority's own key would be revoked, `state-unreadable`
 */
export function issueTrustStatement(
  authority: Authority,
  changes: TrustChanges,
  nowMs: number,
): Promise<TrustStatement> {
  return whileLocked(authority.directory, async () => {
    const state = changedState(readAuthorityState(authority.directory), changes, nowMs);
    refuseUnusable(authority, state);
    const statement = await signStatement(authority, state, nowMs);
    writeAuthorityState(authority.directory, state);
    writePrivateFile(authorityFiles.trust(authority.directory), `${statement.text}\n`);
    return statement;
  });
}

function refuseUnusable(authority: Authority, state: AuthorityState): void {
  if (state.serverPins.length === 0) {
    throw new EntremiseError('bad-usage', {
      message: 'The authority knows no server yet; tell it the pin that "entremise server init" printed.',
    });
  }
  if (state.revokedKeys.some(key => authority.publicKeys.includes(key))) {
    throw new EntremiseError('bad-usage', {
      message: "An authority cannot revoke its own keys: it would silence itself. Revoke a member's key.",
    });
  }
  const named = [...state.delegates, ...state.inviters];
  if (named.some(({ key }) => authority.publicKeys.includes(String(key)))) {
    throw new EntremiseError('bad-usage', {
      message: 'A key of the authority itself cannot be a delegate or an inviter.',
    });
  }
}

/** The newest trust statement, or undefined when none was issued. */
export async function currentTrustStatement(authority: Authority): Promise<TrustStatement | undefined> {
  const text = readStateFileIfPresent(authorityFiles.trust(authority.directory))?.toString().trim();
  return text === undefined ? undefined : verifyTrustStatement(text, authority.publicKeys);
}

/**
 * The newest trust statement.
 * @throws EntremiseError `bad-usage` when none was issued
 */
export async function requireTrustStatement(authority: Authority): Promise<TrustStatement> {
  const trust = await currentTrustStatement(authority);
  if (trust !== undefined) return trust;
  throw new EntremiseError('bad-usage', {
    message:
      'The authority has issued no trust statement yet; tell it the pin that "entremise server init" printed.',
  });
}

/**
 * Revokes keys for good: a member's with those of the invitations it used, or that of an invitation not used yet.
 * @throws EntremiseError `bad-usage` when one is no key
 */
export async function revokeKeys(
  authority: Authority,
  keys: readonly string[],
  nowMs: number,
): Promise<TrustStatement> {
  if (!keys.every(isKeyText)) {
    throw new EntremiseError('bad-usage', { message: 'A key to revoke is 43 characters of base64url.' });
  }
  return issueTrustStatement(authority, { revokedKeys: keys }, nowMs);
}
