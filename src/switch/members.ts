import type { Role } from '../wire/messages/link.ts';

/** Who is at the other end of a link, once it has proved its key and was admitted (P4.1, P6.1). */
export interface LinkIdentity {
  /** Text of the key. */
  readonly key: string;
  readonly role: Role;
  /** The name of its member statement. */
  readonly name: string;
  /** Hex of the 16 bytes of the process life. */
  readonly instance: string;
  readonly linkNo: number;
}

/** A link as the table needs it. */
export interface MemberEntry {
  readonly identity: LinkIdentity;
}

/** What adding a link means: those it takes the place of, or that it comes too late itself. */
export type Arrival<L> =
  | { readonly accepted: true; readonly displaced: readonly L[] }
  | { readonly accepted: false };

/**
 * The members that are connected: key → instance → link (P4.1). Of one instance the higher linkNo wins whatever the order
 * of arrival; of a mediator's key the later proof wins; a terminal's key may have many instances.
 */
export class Members<L extends MemberEntry> {
  private readonly byKey = new Map<string, Map<string, L>>();

  /** Adds a link that was admitted. The displaced ones are out of the table already. */
  add(link: L): Arrival<L> {
    const { key, role, instance, linkNo } = link.identity;
    const instances = this.byKey.get(key) ?? new Map<string, L>();
    const same = instances.get(instance);
    if (same !== undefined && same.identity.linkNo >= linkNo) return { accepted: false };
    const displaced = role === 'mediator' ? [...instances.values()] : same === undefined ? [] : [same];
    for (const other of displaced) instances.delete(other.identity.instance);
    instances.set(instance, link);
    this.byKey.set(key, instances);
    return { accepted: true, displaced };
  }

  /** Takes a link out. False when it was not in the table, having been displaced. */
  remove(link: L): boolean {
    const { key, instance } = link.identity;
    const instances = this.byKey.get(key);
    if (instances?.get(instance) !== link) return false;
    instances.delete(instance);
    if (instances.size === 0) this.byKey.delete(key);
    return true;
  }

  /** The links of that key, one an instance. */
  linksOf(key: string): readonly L[] {
    return [...(this.byKey.get(key)?.values() ?? [])];
  }

  /** The link of that mediator, or undefined when it is offline. */
  mediator(key: string): L | undefined {
    return this.linksOf(key).find(link => link.identity.role === 'mediator');
  }

  /** Every link. */
  all(): readonly L[] {
    return [...this.byKey.values()].flatMap(instances => [...instances.values()]);
  }
}
