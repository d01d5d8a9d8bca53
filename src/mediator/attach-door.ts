import { asEntremiseError, EntremiseError, errorNumber } from '../base/errors.ts';
import { keyThumbprint, type SigningKey } from '../base/keys.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import { type AnsweredAttach, answerAttach } from '../session/attach-handshake.ts';
import { type Attach, type Attached, type AttachInner, attachInner } from '../wire/messages/attach.ts';

/**
 * What an ATTACH must pass before it gets an answer other than a refusal (P6.4), in this order: its form, its grant and
 * whose it is, revocation, purpose and the owner's consent, limits. None of it acts: that needs the terminal's proof.
 */

/** What is asked about an ATTACH. */
export interface AttachChecks {
  /** @throws EntremiseError `grant-invalid`, `grant-expired`, `grant-revoked` */
  verifyGrant(text: string): Promise<AcceptedGrant>;
  /** Revocation, purpose, consent: authorise(attach). @throws EntremiseError the refusal */
  permit(grant: AcceptedGrant, inner: AttachInner): void;
  /** @throws EntremiseError `limit`, `in-use` */
  checkLimits(inner: AttachInner): void;
}

/** An ATTACH that has passed. */
export interface PassedAttach {
  readonly inner: AttachInner;
  readonly innerBytes: Uint8Array;
  readonly grant: AcceptedGrant;
  /** First hop credit towards the server (P2.3). */
  readonly credit: number;
}

/**
 * The form alone.
 * @throws EntremiseError `bad-request`, `unsupported`, `no-such-mediator`
 */
export function parseAttach(message: Attach, ownKey: Uint8Array): AttachInner {
  if (Buffer.compare(message.mediator, ownKey) !== 0) {
    throw new EntremiseError('no-such-mediator', { message: 'The ATTACH is for another mediator.' });
  }
  if (message.credit === undefined) {
    throw new EntremiseError('bad-request', { message: 'The ATTACH carries no credit.', by: 'mediator' });
  }
  return attachInner.fromBytes(message.inner);
}

/**
 * All checks.
 * @throws EntremiseError the first refusal
 */
export async function checkAttach(
  message: Attach,
  ownKey: Uint8Array,
  checks: AttachChecks,
): Promise<PassedAttach> {
  const inner = parseAttach(message, ownKey);
  const grant = await checks.verifyGrant(inner.grant);
  if (grant.terminalThumbprint !== keyThumbprint(inner.terminalKey)) {
    throw new EntremiseError('grant-invalid', {
      by: 'grant',
      message: 'The grant was made for another terminal; ask the operator for one for this key (cnf.jkt).',
    });
  }
  checks.permit(grant, inner);
  checks.checkLimits(inner);
  return { inner, innerBytes: message.inner, grant, credit: message.credit ?? 0 };
}

/** The refusal of an ATTACH. */
export function attachRefusal(label: number, thrown: unknown): Attached {
  const { code, message, by = 'mediator' } = asEntremiseError(thrown);
  return { label, error: errorNumber(code), by, message };
}

/**
 * The answer to an ATTACH that has passed. `maxHoldMs`: the most that is held, whatever was asked for (P4.6).
 * @throws EntremiseError `proof-invalid` when the terminal's X25519 key is of low order
 */
export function answerTo(
  passed: PassedAttach,
  own: {
    readonly signer: SigningKey;
    readonly instance: Uint8Array;
    readonly capabilities: readonly string[];
    readonly maxHoldMs: number;
  },
): AnsweredAttach & { readonly holdMs: number } {
  const holdMs = Math.min(passed.inner.holdMs, own.maxHoldMs);
  return { ...answerAttach(passed.innerBytes, passed.inner, { ...own, holdMs }), holdMs };
}
