import { EntremiseError } from '../base/errors.ts';
import { AbortError } from './abort-error.ts';
import type { AttachmentKeeper } from './attachment-keeper.ts';
import type { MediatorAttachment } from './mediator-attachment.ts';
import { TunnelError, tunnelError } from './tunnel-error.ts';

/** How long a local client waits for an attachment. */
const attachPatienceMs = 10_000;

/**
 * The attachment of now, or the next, if it comes within 10 s.
 * @throws AbortError, or what made the keeper give up: see {@link refusalOf}
 */
export async function patientAttachment(
  source: AttachmentKeeper,
  closing: AbortSignal,
): Promise<MediatorAttachment> {
  // A signal a connection is a quarter of what a connection costs: only who must wait needs one.
  if (source.current !== undefined) return source.current;
  return source.attached(AbortSignal.any([closing, AbortSignal.timeout(attachPatienceMs)]));
}

/** Why a local client was not served: what {@link patientAttachment} threw, in terms of the mediator. */
export function refusalOf({ mediator }: AttachmentKeeper, thrown: unknown): Error {
  const timedOut = thrown instanceof AbortError && thrown.byTimeout;
  if (!timedOut || mediator === undefined) return tunnelError(thrown);
  const message = `The mediator ${mediator.name} is offline since ${mediator.since.toISOString()}.`;
  return new TunnelError(new EntremiseError('mediator-offline', { message, by: 'terminal' }));
}
