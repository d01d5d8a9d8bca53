import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Audit } from '../switch/permit.ts';
import type { Store } from './store.ts';

/**
 * Grants that this server takes no more, whatever their signatures are worth elsewhere: it may always deny (P6.2). So what a
 * delegate has signed can be taken back at once; for members to know it too, the authority revokes it.
 */
export class DeniedGrants {
  private readonly ids: Set<string>;
  private readonly options: DeniedGrantsOptions;

  constructor(options: DeniedGrantsOptions) {
    this.options = options;
    this.ids = new Set(options.store.deniedGrants(options.clock.wallTimeMs()));
  }

  /** True when the grant with that id is taken no more. */
  has(id: string): boolean {
    return this.ids.has(id);
  }

  /** Only rises while the server runs. */
  get count(): number {
    return this.ids.size;
  }

  /** Takes it no more until it expires; what it allows ends now. A full disk keeps no denial from counting. */
  add(id: string, expiresAtMs: number, fields: Readonly<Record<string, unknown>>): void {
    const { store, audit, log, onChange } = this.options;
    try {
      audit('grant-denied', { grant: id, ...fields });
    } catch (thrown) {
      log.error({ err: thrown, grant: id }, 'audit line not written, grant denied all the same');
    }
    this.ids.add(id);
    onChange();
    store.denyGrant(id, expiresAtMs);
  }
}

/** What {@link DeniedGrants} needs. */
export interface DeniedGrantsOptions {
  readonly store: Pick<Store, 'denyGrant' | 'deniedGrants'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  /** What a denied grant allowed must end. */
  onChange(): void;
}
