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
 * How long the number of a link that is gone is kept. A link of the same instance that was under way before must have
 * proved itself within 10 s (P1.6).
 */
const lateMs = 20_000;

interface Seat<L> {
  readonly link: L;
  readonly proofNo: number;
}

/**
 * The members that are connected: key → instance → link (P4.1). Of one instance the higher linkNo wins whatever the order
 * of arrival, and were that link gone again; of a mediator's key the later proof wins, however long each took to be
 * admitted; a terminal's key may have many instances. Times are monotonic milliseconds.
 */
export class Members<L extends MemberEntry> {
  private readonly byKey = new Map<string, Map<string, Seat<L>>>();
  /** By instance, the oldest first. */
  private readonly gone = new Map<string, { readonly linkNo: number; readonly untilMs: number }>();

  /** Adds a link that was admitted; `proofNo` rises with every PROOF. The displaced ones are out of the table already. */
  add(link: L, proofNo: number, nowMs: number): Arrival<L> {
    const { key, role, instance, linkNo } = link.identity;
    const seats = this.byKey.get(key) ?? new Map<string, Seat<L>>();
    const same = seats.get(instance);
    if (linkNo <= Math.max(same?.link.identity.linkNo ?? 0, this.goneLinkNo(instance, nowMs)))
      return { accepted: false };
    const others = role === 'mediator' ? [...seats.values()].filter(seat => seat !== same) : [];
    if (others.some(seat => seat.proofNo > proofNo)) return { accepted: false };
    const displaced = same === undefined ? others : [same, ...others];
    for (const seat of displaced) seats.delete(seat.link.identity.instance);
    seats.set(instance, { link, proofNo });
    this.byKey.set(key, seats);
    return { accepted: true, displaced: displaced.map(seat => seat.link) };
  }

  /** Takes a link out. False when it was not in the table, having been displaced. */
  remove(link: L, nowMs: number): boolean {
    const { key, instance, linkNo } = link.identity;
    const seats = this.byKey.get(key);
    if (seats?.get(instance)?.link !== link) return false;
    seats.delete(instance);
    if (seats.size === 0) this.byKey.delete(key);
    this.gone.delete(instance);
    this.gone.set(instance, { linkNo, untilMs: nowMs + lateMs });
    return true;
  }

  private goneLinkNo(instance: string, nowMs: number): number {
    for (const [old, { untilMs }] of this.gone) {
      if (untilMs > nowMs) break;
      this.gone.delete(old);
    }
    return this.gone.get(instance)?.linkNo ?? 0;
  }

  /** The links of that key, one an instance. */
  linksOf(key: string): readonly L[] {
    return [...(this.byKey.get(key)?.values() ?? [])].map(seat => seat.link);
  }

  /** The link of that mediator, or undefined when it is offline. */
  mediator(key: string): L | undefined {
    return this.linksOf(key).find(link => link.identity.role === 'mediator');
  }

  /** Every link. */
  all(): readonly L[] {
    return [...this.byKey.keys()].flatMap(key => this.linksOf(key));
  }
}
