import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';

/**
 * Lets `ms` pass.
 * @throws what the signal says
 */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const over = deferred<void>();
  const cancel = clock.after(ms, () => over.resolve());
  const onAbort = () => over.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await over.promise;
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
  }
}
