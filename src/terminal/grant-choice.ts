import { EntremiseError } from '../base/errors.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import { grantNamesMediator } from '../policy/grant-verify.ts';
import type { TrustStatement } from '../policy/trust-statement.ts';
import type { Purpose } from '../wire/messages/attach.ts';

/** A mediator as grants name it. */
export interface NamedMediator {
  readonly key: string;
  readonly name: string;
  readonly labels: readonly string[];
}

/** Which grant is needed, and what there is. */
export interface GrantQuestion {
  readonly grants: readonly AcceptedGrant[];
  readonly trust: TrustStatement;
  readonly mediator: NamedMediator;
  readonly purpose: Purpose;
  /** Thumbprint of this terminal's key. */
  readonly terminalThumbprint: string;
  /** Monotonic milliseconds, for the deadlines. */
  readonly nowMs: number;
  /** Only the grant with this id. */
  readonly id?: string | undefined;
}

function missing(message: string): EntremiseError {
  return new EntremiseError('grant-missing', { message, by: 'terminal' });
}

/**
 * The grant to show: one for this key that names the mediator and the purpose; of several the one that lasts longest.
 * @throws EntremiseError `grant-missing`, `grant-expired`, saying what is needed
 */
export function chooseGrant(question: GrantQuestion): AcceptedGrant {
  const { grants, trust, mediator, purpose, terminalThumbprint, nowMs, id } = question;
  const own = grants.filter(grant => grant.terminalThumbprint === terminalThumbprint);
  const wanted = id === undefined ? own : own.filter(grant => grant.id === id);
  if (id !== undefined && wanted.length === 0)
    throw missing(
      `This terminal has no grant with the id ${id}; \`entremise grant list\` shows those it has.`,
    );
  const naming = wanted.filter(grant => grantNamesMediator(grant, trust, mediator));
  const fitting = naming.filter(grant => grant.purpose === purpose);
  const valid = fitting.filter(grant => grant.deadlineMs > nowMs);
  const best = valid.sort((a, b) => b.deadlineMs - a.deadlineMs)[0];
  if (best !== undefined) return best;
  throw whyNone(mediator.name, purpose, naming, fitting);
}

function whyNone(
  name: string,
  purpose: Purpose,
  naming: readonly AcceptedGrant[],
  fitting: readonly AcceptedGrant[],
): EntremiseError {
  const need = `ask the operator for a grant that names ${name} with the purpose ${purpose}`;
  const [expired] = fitting;
  if (expired !== undefined) {
    const at = new Date(expired.expiresAtMs).toISOString();
    const message = `The grant ${expired.id} for ${name} expired at ${at}; ${need}.`;
    return new EntremiseError('grant-expired', { message, by: 'terminal' });
  }
  const [other] = naming;
  if (other !== undefined)
    return missing(`The grant ${other.id} names ${name} for ${other.purpose} only; ${need}.`);
  return missing(`No grant of this terminal names the mediator ${name}; ${need}.`);
}
