/** Chance that a seed decides: the same seed gives the same course. */
export class Chance {
  private state: number;

  /** `seed`: a whole number from 0 to 2^32 - 1. */
  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** From 0 up to but not 1 (mulberry32, public domain). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Between two numbers above 0, each order of magnitude as likely as another. */
  magnitude(least: number, most: number): number {
    return least * (most / least) ** this.next();
  }

  /** One of them. @throws RangeError for none */
  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}
