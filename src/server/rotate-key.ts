import { systemClock } from '../base/clock.ts';
import { EntremiseError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { type TrustStatement, verifyTrustStatement } from '../policy/documents.ts';
import { claimedAuthorityKeys } from '../policy/jws-parts.ts';
import { readServerConfig } from './config.ts';
import { Documents } from './documents.ts';
import { Store } from './store.ts';
import { type ServerPins, serverPins, useSpareKey } from './tls-keys.ts';

/**
 * The rotation of the server's key (P6.2): only onto a spare that the trust statement in force has told every member of.
 * Members know what they were told while they were connected; who was not since is a mediator that would be lost.
 */

/** How the verb is told of the words of the authority. */
const trustCommand = (...pins: readonly (string | undefined)[]) =>
  `entremise authority trust ${pins.flatMap(pin => (pin === undefined ? [] : [`--pin ${pin}`])).join(' ')}`;

/** The words by which the operator tells members of these keys. */
export function telling({ inUse, spare }: ServerPins): string {
  return trustCommand(inUse, spare);
}

/** What came of a rotation. */
export interface Rotated {
  readonly before: string | undefined;
  readonly pins: ServerPins;
}

/** Since when every statement in force has named the pin, milliseconds since 1970. */
async function namedSince(store: Store, trust: TrustStatement, pin: string): Promise<number> {
  let sinceMs = trust.issuedAtMs;
  for (const { text, acceptedAtMs } of store.trustSteps().reverse()) {
    const step = await verifyTrustStatement(text, claimedAuthorityKeys(text));
    if (!step.serverPins.includes(pin)) break;
    sinceMs = acceptedAtMs;
  }
  return sinceMs;
}

function refuseUntold(trust: TrustStatement, pins: ServerPins): string {
  const { spare } = pins;
  if (spare === undefined) {
    const message = `There is no spare key to rotate onto. Make one with "entremise server next-key", and do what it says.`;
    throw new EntremiseError('bad-usage', { message });
  }
  if (trust.serverPins.includes(spare)) return spare;
  const message = `Members have not been told of the spare key, and would take this server for another one. First, where the authority is: ${telling(pins)}`;
  throw new EntremiseError('bad-usage', { message });
}

/** The names of the mediators that were last connected before `sinceMs`. */
function unheard(documents: Documents, store: Store, sinceMs: number): string[] {
  return documents
    .allMembers()
    .filter(({ role }) => role === 'mediator')
    .filter(({ key }) => {
      const lastSeenMs = store.mediator(key)?.lastSeenMs ?? 0;
      return lastSeenMs > 0 && lastSeenMs < sinceMs;
    })
    .map(({ name }) => name);
}

function refuseLeavingBehind(names: readonly string[]): void {
  if (names.length === 0) return;
  const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ', …' : '');
  throw new EntremiseError('bad-usage', {
    message: `${names.length} mediators have not been connected since members were told of the spare key, and could never connect again: ${shown}. Wait for them, or leave them behind with --leave-behind.`,
  });
}

/** @throws EntremiseError `bad-usage` */
async function check(stateDir: string, leaveBehind: boolean): Promise<void> {
  const { authorityKey } = readServerConfig(stateDir);
  const store = await Store.open(stateDir);
  try {
    const quiet = { onChange: () => {}, audit: () => {}, log: silentLog(), clock: systemClock };
    const documents = await Documents.load({ ...quiet, store, authorityKey });
    const trust = documents.trust();
    const spare = refuseUntold(trust, serverPins(stateDir));
    if (!leaveBehind) refuseLeavingBehind(unheard(documents, store, await namedSince(store, trust, spare)));
  } finally {
    store.close();
  }
}

/**
 * Makes the spare key the one in use. A server that runs takes it with SIGHUP.
 * @throws EntremiseError `bad-usage` when members have not been told, or mediators would be left behind; `state-unreadable`,
 * `not-enrolled` while there is no trust statement
 */
export async function rotateServerKey(stateDir: string, leaveBehind: boolean): Promise<Rotated> {
  await check(stateDir, leaveBehind);
  const before = serverPins(stateDir).inUse;
  return { before, pins: await useSpareKey(stateDir) };
}
