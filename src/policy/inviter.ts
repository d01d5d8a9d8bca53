import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import {
  closedObject,
  firstIssue,
  key32,
  listOf,
  memberLabel,
  memberName,
  memberNamePrefix,
  type roles,
  timeClaim,
  wholeNumber,
} from './schema.ts';

/** What somebody is to be, as an invitation or a statement says it. */
export interface MemberIdentity {
  readonly role: (typeof roles)[number];
  readonly name: string;
  readonly labels: readonly string[];
}

/**
 * A key that may invite mediators, and sign nothing else (P6.2, P6.5). It is told in a list of its own beside the delegates':
 * a member that knows no inviters refuses what they have signed, and takes the statement all the same.
 */
export interface Inviter {
  readonly key: string;
  readonly name: string;
  /** No code of it is good beyond this. Who has enrolled stays while the inviter stands in the statement. */
  readonly notAfterMs: number;
  /** How every name begins that it gives. */
  readonly names: string;
  /** The only labels that it gives. */
  readonly labels: readonly string[];
  /** The longest life of a code. */
  readonly lifeMs: number;
}

/** Life of an enrolment code when nothing is said (P6.5). */
export const defaultInvitationLifeMs = 10 * 60_000;

/** The longest life of an enrolment code, whoever made it. */
export const maxInvitationLifeMs = 7 * 24 * 3_600_000;

const inviterSchema = closedObject({
  key: key32,
  name: memberName,
  notAfter: timeClaim,
  names: memberNamePrefix,
  labels: listOf(memberLabel, 0, 32),
  lifeS: v.optional(wholeNumber(1, maxInvitationLifeMs / 1000), defaultInvitationLifeMs / 1000),
});

function inviterFrom({ notAfter, lifeS, ...said }: v.InferOutput<typeof inviterSchema>): Inviter {
  return { ...said, notAfterMs: notAfter, lifeMs: lifeS * 1000 };
}

/**
 * An inviter as it is to stand in a trust statement; times in seconds.
 * @throws EntremiseError `document-invalid`
 */
export function parseInviter(claims: unknown): Inviter {
  const parsed = v.safeParse(inviterSchema, claims, { abortEarly: true });
  if (parsed.success) return inviterFrom(parsed.output);
  throw new EntremiseError('document-invalid', {
    message: `The inviter is malformed: ${firstIssue(parsed.issues)}.`,
  });
}

/**
 * The inviters of a trust statement. One that is not understood, by what may be a bound of a later version, is left out and
 * invites nobody; the statement counts all the same, so that revocations arrive.
 */
export function readInviters(entries: readonly unknown[]): Inviter[] {
  return entries.flatMap(entry => {
    const parsed = v.safeParse(inviterSchema, entry);
    return parsed.success ? [inviterFrom(parsed.output)] : [];
  });
}

/** Why this inviter may not invite such a member, continuing "The invitation", or undefined. */
export function identityRefusal(
  inviter: Inviter,
  { role, name, labels }: MemberIdentity,
): string | undefined {
  if (role !== 'mediator') return `is for a ${role}, and its signer ${inviter.name} invites mediators only`;
  if (!name.startsWith(inviter.names))
    return `is for ${name}, and every name that its signer ${inviter.name} gives begins with "${inviter.names}"`;
  const foreign = labels.find(label => !inviter.labels.includes(label));
  if (foreign === undefined) return undefined;
  return `gives the label ${foreign}, which its signer ${inviter.name} may not give`;
}

/** What an invitation says of itself. */
interface Invited extends MemberIdentity {
  readonly signer: string;
  readonly issuedAtMs: number;
  readonly notAfterMs: number;
}

function refusalBy(inviter: Inviter, invited: Invited): string | undefined {
  const { issuedAtMs, notAfterMs } = invited;
  if (notAfterMs <= issuedAtMs) return 'ends before it begins';
  if (notAfterMs > inviter.notAfterMs) return `is good for longer than its signer ${inviter.name}`;
  if (notAfterMs - issuedAtMs > inviter.lifeMs)
    return `lives longer than the ${inviter.lifeMs / 1000} s that its signer ${inviter.name} may give`;
  return identityRefusal(inviter, invited);
}

/**
 * Why none of the inviters may have signed this invitation, continuing "The invitation", or undefined. A key may stand there
 * more than once, and one entry that allows it all is enough.
 */
export function invitationRefusal(inviters: readonly Inviter[], invited: Invited): string | undefined {
  const refusals = inviters.filter(({ key }) => key === invited.signer).map(each => refusalBy(each, invited));
  if (refusals.includes(undefined)) return undefined;
  return refusals[0] ?? 'is signed by a key that may invite nobody';
}
