import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
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
}

/**
 * The members that a server's state knows, by name; the server may be running.
 * @throws EntremiseError `state-unreadable`, `environment-unfit`, `bad-config`
 */
export async function storedMembers(stateDir: string): Promise<MemberListing[]> {
  const { authorityKey } = readServerConfig(stateDir);
  const store = await Store.open(stateDir);
  try {
    const options = {
      store,
      clock: systemClock,
      log: silentLog(),
      authorityKey,
      onChange: () => {},
      audit: () => {},
    };
    const documents = await Documents.load(options);
    const list = documents.allMembers().map(({ key, name, role, labels }) => {
      const lastSeenMs = store.mediator(key)?.lastSeenMs ?? 0;
      return { key, name, role, labels, lastSeenMs, invitationKeys: store.invitationsUsedBy(key) };
    });
    return list.sort((a, b) => a.name.localeCompare(b.name));
  } finally {
    store.close();
  }
}
