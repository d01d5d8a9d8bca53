import { type Clock, systemClock } from '../../base/clock.ts';

interface Waiting {
  readonly dueMs: number;
  readonly run: () => void;
  readonly cancel: () => void;
}

/** The machine's clock, which a test may set forward: what falls due in between runs at once. */
export class LeapClock implements Clock {
  /** What the wall clock says beyond the machine's, besides the leaps. */
  wallAheadMs = 0;
  private leaptMs = 0;
  private readonly waiting = new Set<Waiting>();

  now(): number {
    return systemClock.now() + this.leaptMs;
  }

  wallTimeMs(): number {
    return systemClock.wallTimeMs() + this.leaptMs + this.wallAheadMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const fire = () => {
      this.waiting.delete(entry);
      run();
    };
    const entry = { dueMs: this.now() + delayMs, run: fire, cancel: systemClock.after(delayMs, fire) };
    this.waiting.add(entry);
    return () => {
      entry.cancel();
      this.waiting.delete(entry);
    };
  }

  /** Sets the clock forward. */
  leap(ms: number): void {
    this.leaptMs += ms;
    const due = [...this.waiting].filter(({ dueMs }) => dueMs <= this.now());
    for (const { cancel, run } of due.sort((a, b) => a.dueMs - b.dueMs)) {
      cancel();
      run();
    }
  }
}
