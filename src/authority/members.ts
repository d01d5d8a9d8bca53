import { EntremiseError } from '../base/errors.ts';
import { writePrivateFile } from '../base/state-file.ts';
import { type IssuedInvitation, signInvitation } from '../policy/invite.ts';
import { defaultInvitationLifeMs, type MemberIdentity, maxInvitationLifeMs } from '../policy/inviter.ts';
import { signJws } from '../policy/jws.ts';
import {
  type MemberStatement,
  memberStatementRules,
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
  const [serverPin = ''] = trust.serverPins;
  const signer = { key: authority.key, trust, serverPin, authorityKey: authority.key.text };
  const issued = await signInvitation(signer, identity, lifeMs, nowMs);
  const { key, text } = issued.invitation;
  writePrivateFile(authorityFiles.invitation(authority.directory, key), `${text}\n`);
  return issued;
}
