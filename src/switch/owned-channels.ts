/** Something that a member's instance has. */
export interface Owned {
  readonly owner: string;
}

/** Channels by their cid, and by whose they are: to find one member's, the others of a fleet are not looked at. */
export class OwnedChannels<E extends Owned> {
  private readonly byCid = new Map<number, E>();
  /** The oldest first. */
  private readonly cids = new Map<string, readonly number[]>();

  /** How many there are. */
  get size(): number {
    return this.byCid.size;
  }

  /** The channel with that cid. */
  get(cid: number): E | undefined {
    return this.byCid.get(cid);
  }

  /** Every cid. */
  all(): readonly number[] {
    return [...this.byCid.keys()];
  }

  /** What an owner has, the oldest first. */
  of(owner: string): readonly (readonly [cid: number, entry: E])[] {
    return (this.cids.get(owner) ?? []).flatMap(cid => {
      const entry = this.byCid.get(cid);
      return entry === undefined ? [] : [[cid, entry] as const];
    });
  }

  /** Adds one whose cid is not there. */
  add(cid: number, entry: E): void {
    this.byCid.set(cid, entry);
    this.cids.set(entry.owner, [...(this.cids.get(entry.owner) ?? []), cid]);
  }

  /** Takes one out, and gives it; undefined when it is not there. */
  take(cid: number): E | undefined {
    const entry = this.byCid.get(cid);
    if (entry === undefined) return undefined;
    this.byCid.delete(cid);
    const left = (this.cids.get(entry.owner) ?? []).filter(other => other !== cid);
    if (left.length > 0) this.cids.set(entry.owner, left);
    else this.cids.delete(entry.owner);
    return entry;
  }
}
