/** Upcalls of a script relay: none before the call that led to it has returned, all in order. */
export class Upcalls {
  private depth = 0;
  private waiting: (() => void)[] = [];
  private closed = false;

  /** A call of the relay's owner. */
  within(act: () => void): void {
    this.depth++;
    try {
      act();
    } finally {
      this.depth--;
    }
  }

  /** Tells now, or once the call has returned. */
  tell(upcall: () => void): void {
    if (this.closed) return;
    if (this.depth === 0 && this.waiting.length === 0) return upcall();
    this.waiting.push(upcall);
    if (this.waiting.length === 1) queueMicrotask(() => this.flush());
  }

  /** Nothing more is told. */
  close(): void {
    this.closed = true;
    this.waiting = [];
  }

  private flush(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const upcall of waiting) if (!this.closed) upcall();
  }
}
