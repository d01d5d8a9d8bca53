/** What the processes of homes tell (testbed/fleet/homes-process.ts): who is online, and since when. */
export class FleetLog {
  private readonly upAtMs = new Map<number, number>();

  /** A line of theirs. */
  onLine(line: string): void {
    const [word, home, atMs] = line.split(' ');
    const index = Number(home);
    if (word === 'down') this.upAtMs.delete(index);
    if (word === 'up') this.upAtMs.set(index, Number(atMs));
  }

  /** How many are online. */
  get up(): number {
    return this.upAtMs.size;
  }

  /** When each came online for the last time, in milliseconds of the machine's monotonic clock. */
  get upTimes(): readonly number[] {
    return [...this.upAtMs.values()];
  }
}
