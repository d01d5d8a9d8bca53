import { EntremiseError, type ErrorCode, errorSentence } from '../base/errors.ts';
import { putIntoInbox } from '../server/inbox.ts';
import type { Context } from './context.ts';
import { onlineMember } from './online-member.ts';

/**
 * How what the authority signs comes to the server: into the inbox of a server on this machine (--server-state), else
 * over the link of this profile, else by hand. Whoever carries it is of no account; the signature is.
 */

/** How long a running server may take to look into its inbox. */
const inboxWaitMs = 3_000;

/** What became of the documents. */
export interface Delivery {
  readonly how: 'accepted' | 'queued' | 'by-hand';
  readonly sentence: string;
}

function refuseRefused(outcomes: readonly (ErrorCode | undefined)[]): void {
  const code = outcomes.find(outcome => outcome !== undefined);
  if (code === undefined) return;
  throw new EntremiseError(code, {
    message: `The server did not take it: ${errorSentence(code)}`,
    by: 'server',
  });
}

/**
 * Brings documents to the server.
 * @throws EntremiseError with the code of the server's refusal; `server-unreachable` and the like of the profile's link
 */
export async function deliver(context: Context, documents: readonly string[]): Promise<Delivery> {
  if (context.serverState !== undefined) return deliverToInbox(context.serverState, documents);
  if (context.profile.membership() !== undefined) return deliverOverLink(context, documents);
  const sentence =
    'Not told to a server: run this with --server-state, or bring the document there with "entremise server import".';
  return { how: 'by-hand', sentence };
}

async function deliverToInbox(stateDir: string, documents: readonly string[]): Promise<Delivery> {
  const outcomes = await putIntoInbox(stateDir, documents, inboxWaitMs);
  if (outcomes === undefined)
    return { how: 'queued', sentence: 'The server is not running; it takes this when it starts.' };
  refuseRefused(outcomes);
  return { how: 'accepted', sentence: 'The server has taken it.' };
}

async function deliverOverLink(context: Context, documents: readonly string[]): Promise<Delivery> {
  const running = await onlineMember(context);
  try {
    refuseRefused(await running.pushDocuments(documents));
    return { how: 'accepted', sentence: 'The server has taken it.' };
  } finally {
    running.stop();
  }
}
