import { EntremiseError } from '../base/errors.ts';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import { type Inviter, identityRefusal, parseInviter } from '../policy/inviter.ts';
import { claimedPayload } from '../policy/jws-parts.ts';
import type { TrustStatement } from '../policy/trust-statement.ts';
import { issueMemberStatements } from './members.ts';
import type { KnownMember } from './rotation.ts';
import { type Authority, authorityFiles, readAuthorityState } from './state.ts';
import { issueTrustStatement, type TrustChanges } from './trust.ts';

/**
 * Inviters (P6.2): keys that may invite mediators within bounds that stand in the trust statement. Who enrolled by the word of
 * one is a member while it stands there: before it goes, or is bound otherwise, the authority says it itself.
 */

/** What an inviter may do. */
export interface InviterWish {
  readonly key: string;
  readonly name: string;
  /** How every name begins that it gives. */
  readonly names: string;
  /** The only labels that it gives. */
  readonly labels: readonly string[];
  /** The longest life of a code; 10 min when absent. */
  readonly codeLifeMs?: number | undefined;
  /** No code of it is good for longer. */
  readonly lifeMs: number;
}

/** What a change has signed, in the order in which the server must take it. */
export interface InviterChange {
  readonly trust: TrustStatement;
  /** Names of those that are members by the authority's own word from now on. */
  readonly signedAnew: readonly string[];
  readonly documents: readonly string[];
}

/** True when the authority has named an inviter of that name: to name it again is to change what its members rest on. */
export function isInviterKnown({ directory }: Authority, name: string): boolean {
  return readAuthorityState(directory).inviters.some(each => each.name === name);
}

function inviterNamed({ directory }: Authority, name: string): Inviter | undefined {
  const claims = readAuthorityState(directory).inviters.find(each => each.name === name);
  return claims === undefined ? undefined : parseInviter(claims);
}

/** True when what the inviter has signed for this member is good by its new entry too. */
function coversStill(after: Inviter | undefined, before: Inviter, member: KnownMember): boolean {
  if (after?.key !== before.key) return false;
  const asLong = after.notAfterMs >= before.notAfterMs && after.lifeMs >= before.lifeMs;
  return asLong && identityRefusal(after, member) === undefined;
}

/** The authority itself has said that this key is somebody else, or has other labels. */
function isSaidOtherwise({ directory }: Authority, { key, role, name, labels }: KnownMember): boolean {
  const text = readStateFileIfPresent(authorityFiles.member(directory, key))?.toString();
  if (text === undefined) return false;
  const said = claimedPayload(text);
  return JSON.stringify([said.role, said.name, said.labels]) !== JSON.stringify([role, name, labels]);
}

/** Those of a list who came by the inviter and would be no members by its new entry. */
function leftOut(
  authority: Authority,
  members: readonly KnownMember[],
  before: Inviter | undefined,
  after: Inviter | undefined,
): KnownMember[] {
  if (before === undefined) return [];
  // A list that a server has made up makes nobody a member whom the inviter could not have invited, and of none another.
  const invited = members.filter(
    member => member.signer === before.key && identityRefusal(before, member) === undefined,
  );
  return invited.filter(member => !coversStill(after, before, member) && !isSaidOtherwise(authority, member));
}

/** The statements first: nobody is to be shut out between them. */
async function change(
  authority: Authority,
  anew: readonly KnownMember[],
  changes: TrustChanges,
  nowMs: number,
): Promise<InviterChange> {
  const statements = anew.length === 0 ? [] : await issueMemberStatements(authority, anew, nowMs);
  const trust = await issueTrustStatement(authority, changes, nowMs);
  const documents = [...statements, trust].map(({ text }) => text);
  writePrivateFile(authorityFiles.inviter(authority.directory), `${documents.join('\n')}\n`);
  return { trust, signedAnew: anew.map(({ name }) => name), documents };
}

/**
 * Names an inviter, or binds one of that name otherwise: then those of `members`, all that the server knows, that came by it
 * and are left out by the new bounds are signed anew first.
 * @throws EntremiseError `document-invalid` when a bound is malformed, and as {@link issueTrustStatement}
 */
export async function addInviter(
  authority: Authority,
  { codeLifeMs, lifeMs, key, name, names, labels }: InviterWish,
  members: readonly KnownMember[],
  nowMs: number,
): Promise<InviterChange> {
  const lifeS = codeLifeMs === undefined ? {} : { lifeS: Math.ceil(codeLifeMs / 1000) };
  const claims = { key, name, notAfter: Math.floor((nowMs + lifeMs) / 1000), names, labels, ...lifeS };
  // Members leave out an inviter that is malformed, and say nothing.
  const after = parseInviter(claims);
  const anew = leftOut(authority, members, inviterNamed(authority, name), after);
  return change(authority, anew, { addedInviters: [claims] }, nowMs);
}

/**
 * Takes an inviter out of the trust statement: its codes are good no more. Those of `members` that came by it are signed anew
 * first; of the others nobody is a member any more.
 * @throws EntremiseError `bad-usage` when there is none of that name, and as {@link issueTrustStatement}
 */
export async function removeInviter(
  authority: Authority,
  name: string,
  members: readonly KnownMember[],
  nowMs: number,
): Promise<InviterChange> {
  const before = inviterNamed(authority, name);
  if (before !== undefined)
    return change(
      authority,
      leftOut(authority, members, before, undefined),
      { removedInviters: [name] },
      nowMs,
    );
  throw new EntremiseError('bad-usage', { message: `There is no inviter ${JSON.stringify(name)}.` });
}
