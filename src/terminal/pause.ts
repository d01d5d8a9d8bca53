import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { onAbort, throwIfAborted } from './abort-error.ts';

/**
 * Lets `ms` pass.
 * @throws AbortError
 */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  throwIfAborted(signal);
  const over = deferred<void>();
  const cancel = clock.after(ms, () => over.resolve());
  const stopListening = onAbort(signal, error => over.reject(error));
  try {
    await over.promise;
  } finally {
    cancel();
    stopListening();
  }
}
