import { existsSync } from 'node:fs';
import { EntremiseError, type ErrorCode, errorSentence } from '../base/errors.ts';
import { serverConfigPath } from '../server/config.ts';
import { putIntoInbox } from '../server/inbox.ts';
import type { Context } from './context.ts';
import { onlineMember } from './online-member.ts';
import { badUsage } from './output.ts';

/**
 * How what the authority signs comes to the server: into the inbox of a server on this machine (--server-state), else
 * over the link of this profile, else by hand. Whoever carries it is of no account; the signature is.
 */

/** How long a running server may take to look into its inbox. */
const inboxWaitMs = 3_000;

/** And how much longer for each document, which may wait for the disk. */
const inboxEachMs = 100;

/** What became of the documents. */
export interface Delivery {
  readonly how: 'accepted' | 'queued' | 'by-hand';
  readonly sentence: string;
}

function refuseRefused(outcomes: readonly (ErrorCode | undefined)[]): void {
  const index = outcomes.findIndex(outcome => outcome !== undefined);
  const code = outcomes[index];
  if (code === undefined) return;
  const refused = outcomes.filter(outcome => outcome !== undefined).length;
  const which = outcomes.length === 1 ? 'it' : `document ${index + 1} of ${outcomes.length}`;
  const others = outcomes.length === 1 ? '' : ` It took ${outcomes.length - refused} of them.`;
  throw new EntremiseError(code, {
    message: `The server did not take ${which}: ${errorSentence(code)}${others}`,
    by: 'server',
  });
}

/**
 * Brings documents to the server. `file` holds them, for when that is left to the user.
 * @throws EntremiseError with the code of the server's refusal; `server-unreachable` and the like of the profile's link;
 * `bad-usage` when --server-state has no server in it
 */
export async function deliver(
  context: Context,
  documents: readonly string[],
  file: string,
): Promise<Delivery> {
  if (context.serverState !== undefined) return deliverToInbox(context.serverState, documents);
  if (context.profile.membership() !== undefined) return deliverOverLink(context, documents);
  const sentence = `No server has been told yet. Bring this file to it, and there: entremise server import ${file}`;
  return { how: 'by-hand', sentence };
}

/** Where a server's state is unless another directory is named. */
export const defaultServerState = '/var/lib/entremise';

/** @throws EntremiseError `bad-usage` when no server was made in that directory */
export function requireServer(stateDir: string): void {
  if (existsSync(serverConfigPath(stateDir))) return;
  throw badUsage(
    `There is no server in ${stateDir}: name its --state, or make one with "entremise server init".`,
  );
}

/**
 * Puts documents into the inbox of a server on this machine.
 * @throws EntremiseError as {@link deliver}
 */
export async function deliverToInbox(stateDir: string, documents: readonly string[]): Promise<Delivery> {
  // A misspelt directory must not swallow a revocation.
  requireServer(stateDir);
  const outcomes = await putIntoInbox(stateDir, documents, inboxWaitMs + documents.length * inboxEachMs);
  if (outcomes === undefined)
    return { how: 'queued', sentence: 'The server is not running; it takes this when it starts.' };
  refuseRefused(outcomes);
  return { how: 'accepted', sentence: 'The server has taken it.' };
}

/** As many as one STATEMENT takes however long they are (P6.2, P1.6). */
const documentsAtOnce = 15;

async function deliverOverLink(context: Context, documents: readonly string[]): Promise<Delivery> {
  const running = await onlineMember(context);
  try {
    for (let begin = 0; begin < documents.length; begin += documentsAtOnce)
      refuseRefused(await running.pushDocuments(documents.slice(begin, begin + documentsAtOnce)));
    return { how: 'accepted', sentence: 'The server has taken it.' };
  } finally {
    running.stop();
  }
}
