/**
 * Who waits, each once, first come first served.
 *
 * A Set that is filled and emptied again with every frame would read better, but V8 gives such a Set a new table every
 * few changes, and a table that has been replaced refers to its successor: once one of them has grown old, all later
 * ones stay until a full collection. Here an item keeps its entry while it waits or not, until it is forgotten.
 */
export class WaitingLine<T> {
  private readonly waiting = new Map<T, boolean>();
  private readonly line: T[] = [];

  /** Puts `item` at the end, if it does not wait already. */
  add(item: T): void {
    if (this.waiting.get(item) === true) return;
    this.waiting.set(item, true);
    this.line.push(item);
  }

  /** Whoever has waited longest, or undefined. */
  get first(): T | undefined {
    return this.line[0];
  }

  /** `item` waits no more; it may be added again. */
  leave(item: T): void {
    if (this.waiting.get(item) !== true) return;
    this.waiting.set(item, false);
    this.takeOut(item);
  }

  /** Everyone who waits is given to `run`, and waits no more. */
  leaveAll(run: (item: T) => void): void {
    while (this.line.length > 0) {
      const item = this.line[0] as T;
      this.leave(item);
      run(item);
    }
  }

  /** `item` is gone for good. */
  forget(item: T): void {
    const wasWaiting = this.waiting.get(item);
    if (wasWaiting === undefined) return;
    this.waiting.delete(item);
    if (wasWaiting) this.takeOut(item);
  }

  private takeOut(item: T): void {
    if (this.line[0] === item) this.line.shift();
    else this.line.splice(this.line.indexOf(item), 1);
  }
}
