import { systemClock } from '../base/clock.ts';
import { EntremiseError } from '../base/errors.ts';
import { isKeyText } from '../base/keys.ts';
import { TrustKeeper } from '../member/trust-keeper.ts';
import { quoted } from '../policy/target.ts';
import type { TrustStatement } from '../policy/trust-statement.ts';
import { type MemberListing, storedMembers, storedTrust } from '../server/members.ts';
import type { Context } from './context.ts';
import { requireServer } from './delivery.ts';

/** The members that a server on this machine knows. */
export async function knownMembers(context: Context): Promise<MemberListing[]> {
  if (context.serverState === undefined) return [];
  requireServer(context.serverState);
  return storedMembers(context.serverState);
}

/**
 * The key of a member named by its key or its name; names are looked up in the server's state.
 * @throws EntremiseError `bad-usage` when the name is not known here
 */
export async function memberKeyOf(context: Context, keyOrName: string): Promise<string> {
  if (isKeyText(keyOrName)) return keyOrName;
  const found = (await knownMembers(context)).find(({ name }) => name === keyOrName);
  if (found !== undefined) return found.key;
  const hint =
    context.serverState === undefined
      ? 'give its key, or --server-state so that names can be looked up'
      : '"entremise server members" shows who is';
  throw new EntremiseError('bad-usage', {
    message: `No member ${quoted(keyOrName)} is known here: ${hint}.`,
  });
}

/**
 * The trust statement that a server on this machine has, or this profile.
 * @throws EntremiseError `not-enrolled`, `state-unreadable`, `document-invalid`
 */
export async function trustKnownHere({ serverState, profile, log }: Context): Promise<TrustStatement> {
  if (serverState === undefined)
    return (await TrustKeeper.load({ directory: profile, clock: systemClock, log })).current;
  requireServer(serverState);
  return storedTrust(serverState);
}
