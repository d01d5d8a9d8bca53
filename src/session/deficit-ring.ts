/** Bytes a member of the ring may send a round: one full frame (P2.1). */
const quantumBytes = 16 * 1024;

interface Entry<T> {
  readonly item: T;
  deficit: number;
}

/** Deficit round robin (P2.1): everyone who has frames gets the same share of bytes, whatever the size of its frames. */
export class DeficitRing<T> {
  private readonly entries: Entry<T>[] = [];
  private readonly members = new Set<T>();

  /** Puts `item` at the end of the round, if it is not in it. */
  add(item: T): void {
    if (this.members.has(item)) return;
    this.members.add(item);
    this.entries.push({ item, deficit: quantumBytes });
  }

  /** Takes `item` out of the round. */
  remove(item: T): void {
    if (!this.members.delete(item)) return;
    this.entries.splice(
      this.entries.findIndex(entry => entry.item === item),
      1,
    );
  }

  /** True when nobody is in the round. */
  get empty(): boolean {
    return this.entries.length === 0;
  }

  /** The next frame: whoever's turn it is gives one by `takeFrom`, or leaves the round by giving undefined. */
  take(takeFrom: (item: T) => Buffer | undefined): Buffer | undefined {
    for (;;) {
      const first = this.entries[0];
      if (first === undefined) return undefined;
      if (first.deficit <= 0) {
        this.entries.shift();
        first.deficit += quantumBytes;
        this.entries.push(first);
        continue;
      }
      const frame = takeFrom(first.item);
      if (frame !== undefined) {
        first.deficit -= frame.length;
        return frame;
      }
      this.remove(first.item);
    }
  }
}
