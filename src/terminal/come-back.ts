import type { Clock } from '../base/clock.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import type { MemberLink } from '../session/member-link.ts';
import { onAbort, throwIfAborted } from './abort-error.ts';
import type { MediatorWay } from './mediator-way.ts';

const firstRetryMs = 250;
const longestRetryMs = 8_000;

/** The wait before a further attempt, after so many: jittered, so that the terminals of a mediator do not come in step. */
export function retryDelayMs(failures: number): number {
  if (failures === 0) return 0;
  const span = Math.min(firstRetryMs * 2 ** (failures - 1), longestRetryMs);
  return span * (0.5 + Math.random() / 2);
}

/**
 * Lets `delayMs` pass, or less when the mediator comes into reach meanwhile.
 * @throws AbortError; TunnelError as the way's
 */
export async function pauseBeforeAttempt(
  clock: Clock,
  way: MediatorWay,
  delayMs: number,
  signal: AbortSignal,
): Promise<void> {
  throwIfAborted(signal);
  const over = new AbortController();
  const stopListening = onAbort(signal, () => over.abort());
  const cancel = clock.after(delayMs, () => over.abort());
  try {
    for (let before = way.link(); ; before = way.link()) {
      await way.nextChange(over.signal);
      if (before === undefined && way.link() !== undefined) return;
    }
  } catch (thrown) {
    throwIfAborted(signal);
    if (!over.signal.aborted) throw thrown;
  } finally {
    cancel();
    stopListening();
  }
}

/**
 * Waits until there is a way, and a grant for it.
 * @throws AbortError; EntremiseError, TunnelError as the way's
 */
export async function untilReachable(
  way: MediatorWay,
  signal: AbortSignal,
): Promise<{ readonly link: MemberLink; readonly grant: AcceptedGrant }> {
  for (;;) {
    const grant = await way.grant();
    throwIfAborted(signal);
    const link = way.link();
    if (link !== undefined) return { link, grant };
    await way.nextChange(signal);
  }
}
