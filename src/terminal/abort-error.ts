/** What an aborted signal makes of everything here, as in Node's own modules: `cause` is the signal's reason. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';

  constructor(signal: AbortSignal) {
    super('The operation was aborted', { cause: signal.reason });
  }

  /** True when the signal was raised by its time (AbortSignal.timeout). */
  get byTimeout(): boolean {
    return this.cause instanceof DOMException && this.cause.name === 'TimeoutError';
  }
}

/** @throws AbortError when the signal is raised */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new AbortError(signal);
}

/** Calls `run` with the error once the signal is raised, at once when it is already. Returns how to stop. */
export function onAbort(signal: AbortSignal | undefined, run: (error: AbortError) => void): () => void {
  if (signal === undefined) return () => {};
  const listener = () => run(new AbortError(signal));
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
