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
  /** Text of the key by whose word it is one: the authority's, or an inviter's. */
  readonly signer: string;
  /** The invitation it came by, if it did. */
  readonly invited: Invitation | undefined;
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

function invitationFrom(payload: unknown, signer: string, text: string): Invitation {
  const { iat, notAfter, ...claims } = readClaims(invitationSchema, payload, invitationRules);
  return { ...claims, issuedAtMs: iat, notAfterMs: notAfter, signer, text };
}

/** Why its signer may not have signed it, continuing "The invitation", or undefined. */
function signerRefusal(
  invitation: Invitation,
  { authorityKeys, inviters }: TrustStatement,
): string | undefined {
  return authorityKeys.includes(invitation.signer) ? undefined : invitationRefusal(inviters, invitation);
}

/**
 * Verifies an invitation, without regard to the time: signed by an authority key, or by an inviter within its bounds.
 * @throws EntremiseError `document-invalid`, `key-revoked`
 */
export async function verifyInvitation(text: string, trust: TrustStatement): Promise<Invitation> {
  const { authorityKeys, inviters } = trust;
  const maySign = (key: string) => authorityKeys.includes(key) || inviters.some(each => each.key === key);
  const { payload, signer } = await verifyJws(text, invitationRules, maySign);
  const invitation = invitationFrom(payload, signer, text);
  const overreach = signerRefusal(invitation, trust);
  if (overreach !== undefined) throw documentError(invitationRules, overreach);
  refuseRevokedKey(trust, invitation.key, 'The invitation');
  return invitation;
}

/** An invitation that was verified before it was kept. @throws EntremiseError `document-invalid` */
export function keptInvitation(text: string): Invitation {
  return invitationFrom(claimedPayload(text), String(jwsHeader(text).kid), text);
}

/**
 * True when an invitation that was verified is good under this trust statement too. No signature is looked at again, so that
 * it may be asked of everybody at once.
 */
export function invitationStands(invitation: Invitation, trust: TrustStatement): boolean {
  return !isKeyRevoked(trust, invitation.key) && signerRefusal(invitation, trust) === undefined;
}

/** As {@link invitationStands}, of a member statement. */
export function memberStands({ key, signer, invited }: MemberStatement, trust: TrustStatement): boolean {
  if (isKeyRevoked(trust, key)) return false;
  return invited === undefined ? trust.authorityKeys.includes(signer) : invitationStands(invited, trust);
}

async function verifyAuthorityForm(text: string, trust: TrustStatement): Promise<MemberStatement> {
  const maySign = (key: string) => trust.authorityKeys.includes(key);
  const { payload, signer } = await verifyJws(text, memberStatementRules, maySign);
  const { iat, ...claims } = readClaims(memberSchema, payload, memberStatementRules);
  return { ...claims, issuedAtMs: iat, signer, invited: undefined, text };
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
    signer: invitation.signer,
    invited: invitation,
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
  if (after === undefined || before === undefined || after.issuedAtMs <= before.issuedAtMs) return false;
  const sameInvitation = after.key === before.key && after.signer === before.signer;
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
