import { randomBytes } from 'node:crypto';
import { EntremiseError } from '../base/errors.ts';
import { writePrivateFile } from '../base/state-file.ts';
import { formatEnrolmentCode, invitationKeyOf, operatorHash } from '../policy/enrolment-code.ts';
import { signJws } from '../policy/jws.ts';
import {
  type Invitation,
  invitationRules,
  type MemberStatement,
  memberStatementRules,
  verifyInvitation,
  verifyMemberStatement,
} from '../policy/member-statement.ts';
import {
  type Authority,
  authorityFiles,
  readAuthorityState,
  whileLocked,
  writeAuthorityState,
} from './state.ts';
import { requireTrustStatement } from './trust.ts';

/** What a member is to be. */
export interface MemberIdentity {
  readonly role: 'mediator' | 'terminal';
  readonly name: string;
  readonly labels: readonly string[];
}

/** An invitation and the code that goes with it. The code is shown once and kept nowhere. */
export interface IssuedInvitation {
  readonly code: string;
  /** To be pushed to the server before the code is used. */
  readonly invitation: Invitation;
}

/** Life of an enrolment code when nothing is said (P6.5). */
export const defaultInvitationLifeMs = 10 * 60_000;

const maxInvitationLifeMs = 7 * 24 * 3_600_000;

/**
 * Signs who a key is. Replaces every statement for that key or name that was made before.
 * @throws EntremiseError `document-invalid` when the identity is malformed, `key-revoked`, `bad-usage`, `state-unreadable`
 */
export async function issueMemberStatement(
  authority: Authority,
  key: string,
  identity: MemberIdentity,
  nowMs: number,
): Promise<MemberStatement> {
  const [statement] = await issueMemberStatements(authority, [{ ...identity, key }], nowMs);
  if (statement === undefined) throw new EntremiseError('internal');
  return statement;
}

/**
 * As {@link issueMemberStatement}, for any number of members at once.
 * @throws EntremiseError as that
 */
export async function issueMemberStatements(
  authority: Authority,
  members: readonly (MemberIdentity & { readonly key: string })[],
  nowMs: number,
): Promise<MemberStatement[]> {
  const trust = await requireTrustStatement(authority);
  return whileLocked(authority.directory, async () => {
    const state = readAuthorityState(authority.directory);
    const iat = Math.floor(nowMs / 1000);
    const statements: MemberStatement[] = [];
    for (const [index, { key, role, name, labels }] of members.entries()) {
      const claims = { key, role, name, labels, seq: state.memberSeq + index + 1, iat };
      const text = await signJws(memberStatementRules.typ, claims, authority.key);
      statements.push(await verifyMemberStatement(text, trust));
    }
    writeAuthorityState(authority.directory, { ...state, memberSeq: state.memberSeq + members.length });
    for (const { key, text } of statements)
      writePrivateFile(authorityFiles.member(authority.directory, key), `${text}\n`);
    return statements;
  });
}

/**
 * Makes an enrolment code for one member, and the invitation that tells the server of it (P6.5).
 * @throws EntremiseError `document-invalid` when the identity is malformed, `bad-usage`, `state-unreadable`
 */
export async function makeInvitation(
  authority: Authority,
  identity: MemberIdentity,
  nowMs: number,
  lifeMs = defaultInvitationLifeMs,
): Promise<IssuedInvitation> {
  if (!(lifeMs > 0 && lifeMs <= maxInvitationLifeMs)) {
    throw new EntremiseError('bad-usage', { message: 'An enrolment code lives for at most 7 days.' });
  }
  const trust = await requireTrustStatement(authority);
  const [pin = ''] = trust.serverPins;
  const code = { secret: randomBytes(16), operatorHash: operatorHash(pin, authority.key.text) };
  const { role, name, labels } = identity;
  const iat = Math.floor(nowMs / 1000);
  const notAfter = Math.ceil((nowMs + lifeMs) / 1000);
  const claims = { key: invitationKeyOf(code).text, role, name, labels, iat, notAfter };
  const text = await signJws(invitationRules.typ, claims, authority.key);
  const invitation = await verifyInvitation(text, trust);
  writePrivateFile(authorityFiles.invitation(authority.directory, invitation.key), `${text}\n`);
  return { code: formatEnrolmentCode(code), invitation };
}
