import { setTimeout as delay } from 'node:timers/promises';
import { LabError } from './errors.ts';

/** How long to wait and how to say it when the wait was in vain. */
export interface UntilOptions {
  /** What is awaited, as the end of the sentence "waited 5000 ms for …". */
  readonly what: string;
  /** Give up after this; 30,000 when left out. */
  readonly deadlineMs?: number;
  /** Pause between two tries; 20 when left out. */
  readonly intervalMs?: number;
  /** Called once, on failure only: what to show of the state of things. */
  readonly explain?: () => string | Promise<string>;
}

/** What a predicate says for "not yet". */
export type NotYet = false | null | undefined | 0 | '';

/**
 * Tries `predicate` until it gives something truthy, and gives that. A predicate that throws counts as
 * "not yet"; its last error becomes the cause of the failure. The first try is made at once, and one more
 * is made after the deadline, so that a stalled machine does not fail a condition that does hold.
 *
 * @throws LabError `deadline`, naming what was awaited, for how long, and the last answer.
 */
export async function until<T>(
  predicate: () => T | NotYet | Promise<T | NotYet>,
  options: UntilOptions,
): Promise<T> {
  const { deadlineMs = 30_000, intervalMs = 20 } = options;
  const startedAt = performance.now();
  for (let tries = 1; ; tries++) {
    const late = performance.now() - startedAt >= deadlineMs;
    const answer = await attempt(predicate);
    if ('value' in answer && answer.value) return answer.value;
    if (late) throw await failure(options, Math.round(performance.now() - startedAt), tries, answer);
    await delay(intervalMs);
  }
}

type Answer<T> = { readonly value: T | NotYet } | { readonly error: unknown };

async function attempt<T>(predicate: () => T | NotYet | Promise<T | NotYet>): Promise<Answer<T>> {
  try {
    return { value: await predicate() };
  } catch (error) {
    // A destroyed lab never comes back: waiting on would only hide it.
    if (error instanceof LabError && error.code === 'destroyed') throw error;
    return { error };
  }
}

async function failure(
  options: UntilOptions,
  waitedMs: number,
  tries: number,
  last: Answer<unknown>,
): Promise<LabError> {
  const lines = [`waited ${waitedMs} ms (${tries} tries) for ${options.what}`];
  if ('error' in last) lines.push(`last error: ${String(last.error)}`);
  else lines.push(`last answer: ${JSON.stringify(last.value) ?? 'undefined'}`);
  if (options.explain) lines.push(await explanation(options.explain));
  return new LabError('deadline', lines.join('\n'), 'error' in last ? { cause: last.error } : undefined);
}

/** The explanation must never replace the failure that it explains. */
async function explanation(explain: () => string | Promise<string>): Promise<string> {
  try {
    return await explain();
  } catch (error) {
    return `(no explanation: ${String(error)})`;
  }
}
