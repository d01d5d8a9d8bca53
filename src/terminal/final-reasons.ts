import type { ErrorCode } from '../base/errors.ts';
import { reasonOf } from './tunnel-error.ts';

/** Reasons that another try would only hear again. */
const final: ReadonlySet<ErrorCode> = new Set([
  'grant-missing',
  'grant-expired',
  'grant-invalid',
  'grant-revoked',
  'key-revoked',
  'not-enrolled',
  'no-such-mediator',
  'mediator-unverified',
  'not-permitted',
  'consent-required',
  'outside-hours',
  'pin-mismatch',
  'version-mismatch',
  'proof-invalid',
  'bad-request',
  'unsupported',
]);

/** Reasons for which an attachment cannot be had again, though a new one may be (P4.4, P4.6). */
const attachmentOver: ReadonlySet<ErrorCode> = new Set([
  'terminal-gone',
  'terminal-restarted',
  'mediator-restarted',
  'cannot-resume',
  'detached',
  'shutting-down',
]);

/** True for a reason that another try would only hear again. */
export function isFinal(thrown: unknown): boolean {
  return final.has(reasonOf(thrown));
}

/** True for a reason for which it is of no use to attach again to the same attachment. */
export function endsAttachment(thrown: unknown): boolean {
  return isFinal(thrown) || attachmentOver.has(reasonOf(thrown));
}
