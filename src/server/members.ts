import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import type { TrustStatement } from '../policy/documents.ts';
import { readServerConfig } from './config.ts';
import { Documents } from './documents.ts';
import { Store } from './store.ts';

/** A member as lists show it. */
export interface MemberListing {
  readonly key: string;
  readonly name: string;
  readonly role: 'mediator' | 'terminal';
  readonly labels: readonly string[];
  /** When it was last connected, milliseconds since 1970; 0 when never or not kept. */
  readonly lastSeenMs: number;
  /** Texts of the invitation keys by which it enrolled: revoked with it, since who has the code has them too. */
  readonly invitationKeys: readonly string[];
  /** Text of the key by whose word it is a member: the authority's, or an inviter's. */
  readonly signer: string;
}

/**
 * The members that a server's state knows, by name; the server may be running.
 * @throws EntremiseError `state-unreadable`, `environment-unfit`, `bad-config`
 */
export function storedMembers(stateDir: string): Promise<MemberListing[]> {
  return withStored(stateDir, (documents, store) => {
    const list = documents.allMembers().map(({ key, name, role, labels, signer }) => {
      const lastSeenMs = store.mediator(key)?.lastSeenMs ?? 0;
      return { key, name, role, labels, lastSeenMs, invitationKeys: store.invitationsUsedBy(key), signer };
    });
    return list.sort((a, b) => a.name.localeCompare(b.name));
  });
}

/**
 * The trust statement that a server's state has.
 * @throws EntremiseError `not-enrolled` while it has none, `state-unreadable`, `environment-unfit`, `bad-config`
 */
export function storedTrust(stateDir: string): Promise<TrustStatement> {
  return withStored(stateDir, documents => documents.trust());
}

async function withStored<T>(stateDir: string, read: (documents: Documents, store: Store) => T): Promise<T> {
  const { authorityKey } = readServerConfig(stateDir);
  const store = await Store.open(stateDir);
  try {
    const told = { onChange: () => {}, audit: () => {} };
    const options = { store, clock: systemClock, log: silentLog(), authorityKey, ...told };
    return read(await Documents.load(options), store);
  } finally {
    store.close();
  }
}
