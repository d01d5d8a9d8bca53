import { randomBytes } from 'node:crypto';
import type { SigningKey } from '../base/keys.ts';
import { formatEnrolmentCode, invitationKeyOf, operatorHash } from './enrolment-code.ts';
import type { MemberIdentity } from './inviter.ts';
import { documentError, signJws } from './jws.ts';
import {
  type Invitation,
  invitationRules,
  joinEnrolment,
  type MemberStatement,
  verifyInvitation,
  verifyMemberStatement,
} from './member-statement.ts';
import type { TrustStatement } from './trust-statement.ts';

/** An invitation and the code that goes with it. The code is shown once and kept nowhere. */
export interface IssuedInvitation {
  readonly code: string;
  /** To be pushed to the server before the code is used. */
  readonly invitation: Invitation;
}

/** By whom, for which server, under which statement an invitation is made. */
export interface InvitationSigner {
  /** An authority's key, or an inviter's. */
  readonly key: SigningKey;
  readonly trust: TrustStatement;
  /** The pin of the server at which the code is used, base64url. */
  readonly serverPin: string;
  /** The authority's key that signs, by which the member knows its operator. */
  readonly authorityKey: string;
}

/**
 * Makes an enrolment code for one member, and the invitation that tells the server of it (P6.5).
 * @throws EntremiseError `document-invalid` when it says something that no member would accept under this trust statement
 */
export async function signInvitation(
  { key, trust, serverPin, authorityKey }: InvitationSigner,
  { role, name, labels }: MemberIdentity,
  lifeMs: number,
  nowMs: number,
): Promise<IssuedInvitation> {
  const code = { secret: randomBytes(16), operatorHash: operatorHash(serverPin, authorityKey) };
  // Rounded up, so that the code is good for as long as is said, and lives no longer than an inviter may let it.
  const iat = Math.ceil(nowMs / 1000);
  const notAfter = iat + Math.ceil(lifeMs / 1000);
  const claims = { key: invitationKeyOf(code).text, role, name, labels, iat, notAfter };
  const text = await signJws(invitationRules.typ, claims, key);
  return { code: formatEnrolmentCode(code), invitation: await verifyInvitation(text, trust) };
}

/**
 * Says other labels of a member that came by an invitation of this key: the invitation, signed anew, with the enrolment that
 * there is (P6.2). The invitation is over within a second: nobody enrols by it.
 * @throws EntremiseError `document-invalid` when it came otherwise, or when no member would accept it under this trust statement
 */
export async function signLabels(
  key: SigningKey,
  trust: TrustStatement,
  member: MemberStatement,
  labels: readonly string[],
  nowMs: number,
): Promise<MemberStatement> {
  const { role, name, invited, text } = member;
  if (invited?.signer !== key.text)
    throw documentError(
      invitationRules,
      `of ${name} is not by this key, or the authority has said itself who it is`,
    );
  const iat = Math.max(Math.ceil(nowMs / 1000), invited.issuedAtMs / 1000 + 1);
  const claims = { key: invited.key, role, name, labels, iat, notAfter: iat + 1 };
  const [, enrolment = ''] = text.split('~');
  const anew = joinEnrolment(await signJws(invitationRules.typ, claims, key), enrolment);
  return verifyMemberStatement(anew, trust);
}
