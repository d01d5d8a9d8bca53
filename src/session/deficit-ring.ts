/** Bytes a member of the ring may send a round: one full frame (P2.1). */
const quantumBytes = 16 * 1024;

interface Entry<T> {
  readonly item: T;
  deficit: number;
  /** In the round; else kept for the next time, see waiting-line.ts. */
  inRound: boolean;
}

/** Deficit round robin (P2.1): everyone who has frames gets the same share of bytes, whatever the size of its frames. */
export class DeficitRing<T> {
  private readonly round: Entry<T>[] = [];
  private readonly entries = new Map<T, Entry<T>>();

  /** Puts `item` at the end of the round, if it is not in it. */
  add(item: T): void {
    const entry = this.entries.get(item) ?? this.newEntry(item);
    if (entry.inRound) return;
    entry.inRound = true;
    entry.deficit = quantumBytes;
    this.round.push(entry);
  }

  /**
   * Puts `items` at the head of the round, in that order, with what they had left of their turn: they left it with frames that
   * could not go, and whoever was ready later stands behind them.
   */
  addFirst(items: readonly T[]): void {
    if (items.length === 0) return;
    const first = items.map(item => this.entries.get(item) ?? this.newEntry(item));
    for (const entry of first) entry.inRound = true;
    const ahead = new Set(first);
    const others = this.round.filter(entry => !ahead.has(entry));
    this.round.splice(0, this.round.length, ...first, ...others);
  }

  private newEntry(item: T): Entry<T> {
    const entry = { item, deficit: quantumBytes, inRound: false };
    this.entries.set(item, entry);
    return entry;
  }

  /** Takes `item` out of the round for good. */
  remove(item: T): void {
    const entry = this.entries.get(item);
    if (entry === undefined) return;
    this.entries.delete(item);
    if (entry.inRound) this.leave(entry);
  }

  private leave(entry: Entry<T>): void {
    entry.inRound = false;
    if (this.round[0] === entry) this.round.shift();
    else this.round.splice(this.round.indexOf(entry), 1);
  }

  /** True when nobody is in the round. */
  get empty(): boolean {
    return this.round.length === 0;
  }

  /** The next frame: whoever's turn it is gives one by `takeFrom`, or leaves the round by giving undefined. */
  take(takeFrom: (item: T) => Buffer | undefined): Buffer | undefined {
    for (;;) {
      const first = this.round[0];
      if (first === undefined) return undefined;
      if (first.deficit <= 0) {
        first.deficit += quantumBytes;
        if (this.round.length > 1) this.round.push(this.round.shift() as Entry<T>);
        continue;
      }
      const frame = takeFrom(first.item);
      if (frame !== undefined) {
        first.deficit -= frame.length;
        return frame;
      }
      if (first.inRound) this.leave(first);
    }
  }
}
