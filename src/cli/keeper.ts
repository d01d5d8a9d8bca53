import { EntremiseError } from '../base/errors.ts';
import {
  AttachmentKeeper,
  type ErrorCode,
  type KeeperStatus,
  type Suspension,
  type Terminal,
} from '../terminal/index.ts';
import type { Context } from './context.ts';
import { formatDuration } from './duration.ts';

/** For people: how the way to a mediator stands. */
export function pathSentence(status: KeeperStatus): string {
  switch (status.state) {
    case 'attached':
      return `attached to ${status.mediator}`;
    case 'suspended':
      return suspendedSentence(status);
    case 'resumed':
      return resumedSentence(status.afterMs);
    case 'ended':
      return `ended, what was open is reset: ${status.error.message}`;
    case 'waiting': {
      const since = `${status.since.toISOString()} (${formatDuration(Date.now() - status.since.getTime())})`;
      if (status.for === 'mediator') return `waiting: ${status.mediator} offline since ${since}`;
      return `waiting: no link to the server since ${since}${status.error === undefined ? '' : `: ${status.error.message}`}`;
    }
    case 'retrying':
      return `trying again in ${formatDuration(status.inMs)}: ${status.error.message}`;
  }
}

/** How long the mediator is asked to keep what is open while this program has no way to it (P4.6). */
export const cliHoldMs = 120_000;

const losses: Partial<Record<ErrorCode, string>> = { 'link-lost': 'link lost' };

/** For people: that the way is lost, why, and for how long what is open stays so. */
export function suspendedSentence({ reason, since, until }: Suspension): string {
  const why = losses[reason] ?? new EntremiseError(reason).message;
  return `suspended: ${why}, holding ${formatDuration(until.getTime() - since.getTime())}`;
}

/** For people: that everything goes on. */
export function resumedSentence(afterMs: number): string {
  return `resumed after ${(afterMs / 1000).toFixed(1)} s`;
}

/** What a program is told beside the sentence. */
function fieldsOf(status: KeeperStatus, mediator: string): Readonly<Record<string, unknown>> {
  const { state } = status;
  if (state === 'suspended') return { state, mediator, reason: status.reason, until: status.until };
  if (state === 'resumed') return { state, mediator, afterMs: Math.round(status.afterMs) };
  if (state === 'ended') return { state, mediator, reason: status.error.reason };
  return { state, mediator };
}

/** An attachment that is made anew whenever it has ended, telling the user what it waits for. */
export function keepAttached(
  context: Context,
  terminal: Terminal,
  mediator: string,
  signal: AbortSignal,
): AttachmentKeeper {
  const keeper = new AttachmentKeeper(terminal, mediator, { signal, holdMs: cliHoldMs });
  keeper.on('status', status => context.output.status(pathSentence(status), fieldsOf(status, mediator)));
  return keeper;
}
