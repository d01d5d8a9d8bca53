import { EntremiseError } from '../base/errors.ts';
import { loadSigningKey } from '../base/keys.ts';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import type { Grant } from '../policy/grant.ts';
import { identityRefusal, type MemberIdentity } from '../policy/inviter.ts';
import { claimedAuthorityKeys, jwsHeader } from '../policy/jws-parts.ts';
import type { TrustStatement } from '../policy/trust-statement.ts';
import { listGrants, reissueGrant } from './grants.ts';
import { issueMemberStatements } from './members.ts';
import {
  type Authority,
  advanceKeys,
  authorityFiles,
  openAuthority,
  readAuthorityState,
  whileLocked,
  writeAuthorityState,
} from './state.ts';
import { issueTrustStatement } from './trust.ts';

/**
 * How the authority's key changes (P6.2). Rotation: the successor, whom every member believes already, signs from now on, and
 * says anew who its members are; the key before is believed for what it has signed. Retirement: it is believed no more, and
 * nothing that counts may hang on it then. Members that were away for both believe the successor by the statement they hold.
 */

/** A member as the server lists it. */
export interface KnownMember extends MemberIdentity {
  readonly key: string;
  /** Text of the key by whose word it is one: the authority's, or an inviter's. */
  readonly signer: string;
}

/** What a change of keys has signed, in the order in which the server must take it. */
export interface KeyChange {
  readonly authority: Authority;
  /** Keys of before that are believed for what they have signed; after a retirement, those that are not any more. */
  readonly formerKeys: readonly string[];
  readonly members: number;
  readonly grants: number;
  readonly documents: readonly string[];
}

const signerOf = ({ text }: Grant) => String(jwsHeader(text).kid);

/** Grants in force by keys that are to be believed no more. */
function grantsBy(authority: Authority, keys: readonly string[], nowMs: number): Grant[] {
  return listGrants(authority, nowMs)
    .filter(({ grant, status }) => status === 'valid' && keys.includes(signerOf(grant)))
    .map(({ grant }) => grant);
}

function kept(change: KeyChange): KeyChange {
  const { authority, documents } = change;
  writePrivateFile(authorityFiles.rotation(authority.directory), `${documents.join('\n')}\n`);
  return change;
}

/**
 * Both at once, for a key that others may have: what it has signed is worth nothing from the moment on at which members hear.
 * @throws EntremiseError as {@link rotateKey}
 */
export async function replaceStolenKey(
  directory: string,
  members: readonly KnownMember[],
  nowMs: number,
): Promise<KeyChange> {
  const rotated = await rotateKey(directory, members, nowMs);
  const { authority } = rotated;
  const signedAnew = members.map(member => ({ ...member, signer: authority.key.text }));
  const retired = await retireKeys(authority, signedAnew, nowMs, true);
  return kept({
    ...retired,
    members: rotated.members,
    documents: [...rotated.documents, ...retired.documents],
  });
}

/** The keys of before, as the newest trust statement that was signed has them. */
function keysBefore(directory: string): string[] {
  const text = readStateFileIfPresent(authorityFiles.trust(directory))?.toString();
  if (text !== undefined) return claimedAuthorityKeys(text);
  throw new EntremiseError('bad-usage', {
    message: 'Members have been told of no key yet: "entremise authority trust" comes first.',
  });
}

const signerOfTrust = (directory: string) =>
  String(jwsHeader(readStateFileIfPresent(authorityFiles.trust(directory))?.toString() ?? '').kid);

/** Moves the keys on, unless a change that was begun before has done that. */
function change(directory: string, members: readonly KnownMember[]): Authority {
  const state = readAuthorityState(directory);
  const key = readStateFileIfPresent(authorityFiles.key(directory)) && openAuthority(directory).key.text;
  const next = loadSigningKey(authorityFiles.nextKey(directory)).text;
  const { retiring } = state;
  if (retiring.length > 0 && key !== undefined && !retiring.includes(key)) {
    const unsaid = signerOfTrust(directory) !== key;
    if (unsaid || members.some(({ signer }) => retiring.includes(signer))) return openAuthority(directory);
    throw new EntremiseError('bad-usage', {
      message: `The key before this one (${retiring.join(', ')}) is believed still: first "entremise authority retire-key".`,
    });
  }
  // Before the keys move, so that nobody is shut out whatever happens in between. A key that is lost is among them.
  const former = key === undefined ? keysBefore(directory).filter(each => each !== next) : [key];
  writeAuthorityState(directory, { ...state, retiring: former });
  return advanceKeys(directory);
}

/** Its labels stay the inviter's to say, and the inviter's end stays its own. */
function restsOnInviter(member: KnownMember, { inviters }: TrustStatement): boolean {
  return inviters.some(each => each.key === member.signer && identityRefusal(each, member) === undefined);
}

/**
 * The successor's key signs from now on; that of before may be lost. `members`: all that the server knows, to be signed anew
 * unless they rest on an inviter.
 * Whatever was cut off, or did not come to the server, is done by the same again.
 * @throws EntremiseError `bad-usage` while a key of before is not retired or without a trust statement; `state-unreadable`,
 * `document-invalid`, `limit`
 */
export async function rotateKey(
  directory: string,
  members: readonly KnownMember[],
  nowMs: number,
): Promise<KeyChange> {
  keysBefore(directory);
  const authority = await whileLocked(directory, async () => change(directory, members));
  const formerKeys = readAuthorityState(directory).retiring;
  const trust = await issueTrustStatement(authority, {}, nowMs);
  const anew = members.filter(member => !restsOnInviter(member, trust));
  const statements = await issueMemberStatements(authority, anew, nowMs);
  const documents = [trust, ...statements].map(({ text }) => text);
  return kept({ authority, formerKeys, members: statements.length, grants: 0, documents });
}

function refuseMembersLeft(members: readonly KnownMember[], keys: readonly string[]): void {
  const left = members.filter(({ signer }) => keys.includes(signer)).map(({ name }) => name);
  if (left.length === 0) return;
  throw new EntremiseError('bad-usage', {
    message: `${left.length} members are so by the word of that key alone, and would be shut out (${left.slice(0, 5).join(', ')}): the server has not taken what rotate-key has signed, or they have enrolled meanwhile. Run "entremise authority rotate-key" again.`,
  });
}

function refuseGrantsLeft(grants: readonly Grant[]): void {
  if (grants.length === 0) return;
  const last = new Date(Math.max(...grants.map(({ expiresAtMs }) => expiresAtMs))).toISOString();
  throw new EntremiseError('bad-usage', {
    message: `${grants.length} grants by that key are in force, the last until ${last}: wait for that, or say --reissue-grants, which signs them anew and ends what runs under them.`,
  });
}

/**
 * Keys of before are believed no more.
 * @throws EntremiseError `bad-usage` when there is none, or when members or grants hang on it: `reissueGrants` signs those anew;
 * `state-unreadable`, `limit`
 */
export async function retireKeys(
  authority: Authority,
  members: readonly KnownMember[],
  nowMs: number,
  reissueGrants: boolean,
): Promise<KeyChange> {
  const { retiring } = readAuthorityState(authority.directory);
  if (retiring.length === 0) {
    throw new EntremiseError('bad-usage', {
      message: 'There is no key of before to retire: "entremise authority rotate-key" comes first.',
    });
  }
  refuseMembersLeft(members, retiring);
  const grants = grantsBy(authority, retiring, nowMs);
  if (!reissueGrants) refuseGrantsLeft(grants);
  const reissued: string[] = [];
  for (const grant of grants) reissued.push((await reissueGrant(authority, grant, nowMs)).text);
  const changes = { retiring: [], revokedKeys: retiring };
  const trust = await issueTrustStatement(authority, changes, nowMs);
  // The grants first: who loses one has the other already.
  const documents = [...reissued, trust.text];
  return kept({ authority, formerKeys: retiring, members: 0, grants: reissued.length, documents });
}
