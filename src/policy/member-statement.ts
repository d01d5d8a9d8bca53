import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import type { SigningKey } from '../base/keys.ts';
import { invitationRefusal } from './inviter.ts';
import { documentError, type JwsRules, signJws, verifyJws } from './jws.ts';
import { claimedPayload, jwsHeader } from './jws-parts.ts';
import {
  firstIssue,
  key32,
  listOf,
  memberLabel,
  memberName,
  oneOf,
  openObject,
  roles,
  timeClaim,
  wholeNumber,
} from './schema.ts';
import { isKeyRevoked, refuseRevokedKey, type TrustStatement } from './trust-statement.ts';

/**
 * Who a key is (P6.2): role, name and labels, by the operator's word. Two forms:
 *
 * - one JWS by an authority key, `seq` at least 1;
 * - `invitation~enrolment`, as it comes out of an enrolment (P6.5): the invitation, by an authority key or an inviter
 *   within its bounds, names an invitation key, role, name and labels; the enrolment, by that invitation key, names the
 *   member's own key. `seq` 0, so the authority's own word always replaces it.
 *
 * Members of the documents that this version does not know are ignored.
 */
export interface MemberStatement {
  readonly key: string;
  readonly role: 'mediator' | 'terminal';
  /** Unique among the operator's members. */
  readonly name: string;
  readonly labels: readonly string[];
  readonly seq: number;
  readonly issuedAtMs: number;
  /** The invitation it came by, if it did: text of its key and of its signer's, and when it was signed, in ms since 1970. */
  readonly invited: { readonly key: string; readonly by: string; readonly atMs: number } | undefined;
  /** The document as it was signed, to pass on. */
  readonly text: string;
}

/** Permission to enrol one key, once (P6.5). */
export interface Invitation {
  readonly key: string;
  readonly role: 'mediator' | 'terminal';
  readonly name: string;
  readonly labels: readonly string[];
  readonly issuedAtMs: number;
  /** The enrolment must happen before this. */
  readonly notAfterMs: number;
  /** Text of the key that signed it: the authority's, or an inviter's. */
  readonly signer: string;
  readonly text: string;
}

/** Type and size of a member statement signed by the authority, and of an enrolment. */
export const memberStatementRules: JwsRules = {
  typ: 'entremise-member+jwt',
  maxBytes: 4096,
  what: 'member statement',
  code: 'document-invalid',
};

/** Type and size of an invitation. */
export const invitationRules: JwsRules = {
  typ: 'entremise-invitation+jwt',
  maxBytes: 4096,
  what: 'invitation',
  code: 'document-invalid',
};

const identity = { role: oneOf(roles), name: memberName, labels: listOf(memberLabel, 0, 32) };

const memberSchema = openObject({
  key: key32,
  ...identity,
  seq: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  iat: timeClaim,
});
const invitationSchema = openObject({ key: key32, ...identity, iat: timeClaim, notAfter: timeClaim });
const enrolmentSchema = openObject({ key: key32, iat: timeClaim });

function readClaims<T extends v.GenericSchema>(
  schema: T,
  payload: unknown,
  rules: JwsRules,
): v.InferOutput<T> {
  const parsed = v.safeParse(schema, payload, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw documentError(rules, `is malformed: ${firstIssue(parsed.issues)}`);
}

/**
 * Verifies an invitation, without regard to the time: signed by an authority key, or by an inviter within its bounds.
 * @throws EntremiseError `document-invalid`, `key-revoked`
 */
export async function verifyInvitation(text: string, trust: TrustStatement): Promise<Invitation> {
  const isAuthority = (key: string) => trust.authorityKeys.includes(key);
  const maySign = (key: string) => isAuthority(key) || trust.inviters.some(inviter => inviter.key === key);
  const { payload, signer } = await verifyJws(text, invitationRules, maySign);
  const { iat, notAfter, ...claims } = readClaims(invitationSchema, payload, invitationRules);
  const invitation = { ...claims, issuedAtMs: iat, notAfterMs: notAfter, signer, text };
  const overreach = isAuthority(signer) ? undefined : invitationRefusal(trust.inviters, invitation);
  if (overreach !== undefined) throw documentError(invitationRules, overreach);
  refuseRevokedKey(trust, claims.key, 'The invitation');
  return invitation;
}

/**
 * True when a member statement or an invitation, verified under a trust statement of before, is good under this one too. No
 * signature is looked at again, so it may be asked of every member at once. The member's own key is the caller's to look up.
 */
export function isGoodStill(text: string, trust: TrustStatement): boolean {
  const [first = ''] = text.split('~', 1);
  const { typ, kid } = jwsHeader(first);
  const payload = claimedPayload(first);
  const signer = String(kid);
  if (isKeyRevoked(trust, String(payload.key))) return false;
  if (trust.authorityKeys.includes(signer)) return true;
  if (typ !== invitationRules.typ) return false;
  const { iat, notAfter, ...claims } = readClaims(invitationSchema, payload, invitationRules);
  const invited = { ...claims, issuedAtMs: iat, notAfterMs: notAfter, signer };
  return invitationRefusal(trust.inviters, invited) === undefined;
}

async function verifyAuthorityForm(text: string, trust: TrustStatement): Promise<MemberStatement> {
  const { payload } = await verifyJws(text, memberStatementRules, key => trust.authorityKeys.includes(key));
  const { iat, ...claims } = readClaims(memberSchema, payload, memberStatementRules);
  return { ...claims, issuedAtMs: iat, invited: undefined, text };
}

async function verifyInvitedForm(
  invitationText: string,
  enrolmentText: string,
  trust: TrustStatement,
): Promise<MemberStatement> {
  const invitation = await verifyInvitation(invitationText, trust);
  const { payload } = await verifyJws(enrolmentText, memberStatementRules, key => key === invitation.key);
  const { key, iat } = readClaims(enrolmentSchema, payload, memberStatementRules);
  return {
    key,
    role: invitation.role,
    name: invitation.name,
    labels: invitation.labels,
    seq: 0,
    issuedAtMs: iat,
    invited: { key: invitation.key, by: invitation.signer, atMs: invitation.issuedAtMs },
    text: joinEnrolment(invitationText, enrolmentText),
  };
}

/**
 * Verifies a member statement of either form.
 * @throws EntremiseError `document-invalid`, or `key-revoked` for the key of the member or of its invitation
 */
export async function verifyMemberStatement(text: string, trust: TrustStatement): Promise<MemberStatement> {
  const [first = '', second, ...more] = text.split('~', 3);
  if (more.length > 0) throw documentError(memberStatementRules, 'has too many parts');
  const statement = await (second === undefined
    ? verifyAuthorityForm(first, trust)
    : verifyInvitedForm(first, second, trust));
  refuseRevokedKey(trust, statement.key, `The key of ${statement.name}`);
  return statement;
}

/** The member statement that an invitation and the enrolment made with it are together. */
export function joinEnrolment(invitation: string, enrolment: string): string {
  return `${invitation}~${enrolment}`;
}

/** The enrolment of a member's own key, signed with the invitation key (P6.5). This travels in PROOF. */
export function signEnrolment(invitationKey: SigningKey, memberKey: string, nowMs: number): Promise<string> {
  const payload = { key: memberKey, iat: Math.floor(nowMs / 1000) };
  return signJws(memberStatementRules.typ, payload, invitationKey);
}

/**
 * What the server checks when a member enrols: the enrolment belongs to this invitation, it is in time, and it enrols
 * the key that the PROOF proved. That the invitation was not used before is the caller's to know.
 * @throws EntremiseError `code-expired`, `document-invalid`, `key-revoked`
 */
export async function verifyEnrolment(
  invitation: Invitation,
  enrolment: string,
  provenKey: string,
  trust: TrustStatement,
  nowMs: number,
): Promise<MemberStatement> {
  if (nowMs >= invitation.notAfterMs) {
    throw new EntremiseError('code-expired', {
      message: `The enrolment code for ${invitation.name} has expired; make a new one with the authority.`,
    });
  }
  const statement = await verifyMemberStatement(joinEnrolment(invitation.text, enrolment), trust);
  if (statement.key === provenKey) return statement;
  throw documentError(memberStatementRules, 'enrols another key than the one that was proved');
}

/** What to do with a verified member statement, given those already held for its key and for its name. */
export type MemberDecision = 'accept' | 'keep' | 'name-taken';

/** The same enrolment, whose invitation its signer has signed anew: with other labels, if with anything other. */
function isInvitedAnew(candidate: MemberStatement, held: MemberStatement): boolean {
  const [after, before] = [candidate.invited, held.invited];
  if (after === undefined || before === undefined || after.atMs <= before.atMs) return false;
  const sameInvitation = after.key === before.key && after.by === before.by;
  return sameInvitation && candidate.name === held.name && candidate.role === held.role;
}

/**
 * Highest seq wins, for the key and for the name: an authority's newer statement takes a name over (a replaced
 * gateway); two enrolments never fight for one, the first stays. An invitation that its signer has signed anew, for the same
 * key and name, takes the place of the one before. Call with the holders whose keys are not revoked.
 */
export function decideMember(
  sameKey: MemberStatement | undefined,
  sameName: MemberStatement | undefined,
  candidate: MemberStatement,
): MemberDecision {
  const isNewer = sameKey === undefined || candidate.seq > sameKey.seq || isInvitedAnew(candidate, sameKey);
  if (!isNewer) return 'keep';
  const rival = sameName !== undefined && sameName.key !== candidate.key ? sameName : undefined;
  return rival === undefined || candidate.seq > rival.seq ? 'accept' : 'name-taken';
}
