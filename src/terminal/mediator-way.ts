import type { Clock } from '../base/clock.ts';
import { keyFromText } from '../base/keys.ts';
import type { AcceptedGrant } from '../policy/grant.ts';
import type { Member } from '../session/member.ts';
import type { MemberLink } from '../session/member-link.ts';
import type { Purpose } from '../wire/messages/attach.ts';
import { findGrant, type GrantSources } from './grant-finder.ts';
import type { Mediator, MediatorList } from './mediator-list.ts';
import type { ServerConnection } from './server-connection.ts';

/** Where an attachment leads, and whether there is a way now; asked anew for each attempt. */
export interface MediatorWay {
  readonly mediatorKey: Uint8Array;
  readonly mediatorName: string;
  readonly purpose: Purpose;
  /** @throws EntremiseError, TunnelError: `grant-missing`, `grant-expired` and others that say what is needed */
  grant(): Promise<AcceptedGrant>;
  /**
   * The link by which the mediator can be reached now; undefined while it, or the server, is away.
   * @throws TunnelError when the server will not take this terminal again
   */
  link(): MemberLink | undefined;
  /** Until something changes that grant or link may depend on. @throws AbortError; TunnelError `shutting-down` */
  nextChange(signal: AbortSignal): Promise<void>;
  /** Who waits for {@link nextChange} looks again. */
  wake(): void;
  /** Milliseconds between server and mediator, as the server tells. */
  roundTripMs(): number;
}

/** What a way is made from. */
export interface WaySources {
  readonly member: GrantSources & { readonly member: Pick<Member, 'link'> };
  readonly list: MediatorList;
  readonly connection: ServerConnection;
  readonly clock: Clock;
}

/** Whom a way leads to, and what for. */
export interface WayWish {
  readonly mediator: Mediator;
  readonly name: string;
  readonly purpose: Purpose;
  /** As in {@link findGrant}. */
  readonly wanted: string | undefined;
}

/** The way to that mediator, which is known by its key: another may have its name by and by. */
export function wayTo({ member, list, connection, clock }: WaySources, wish: WayWish): MediatorWay {
  const { mediator: first, name, purpose, wanted } = wish;
  const { key } = first;
  return {
    mediatorKey: keyFromText(key),
    mediatorName: name,
    purpose,
    grant() {
      const { labels } = list.get(key) ?? first;
      return findGrant(member, { mediator: { key, name, labels }, purpose, wanted, nowMs: clock.now() });
    },
    link() {
      connection.throwIfHopeless();
      return list.get(key)?.online === true ? member.member.link : undefined;
    },
    nextChange: signal => connection.nextChange(signal),
    wake: () => connection.wake(),
    roundTripMs: () => list.get(key)?.roundTripMs ?? 0,
  };
}
