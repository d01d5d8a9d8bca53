import type { Clock } from '../base/clock.ts';

/** What needs no more of a clock than its timers. */
export type Timers = Pick<Clock, 'after'>;

interface Timer {
  leftMs: number;
  /** Undoes the timer that runs; undefined while time stands. */
  cancel: (() => void) | undefined;
  readonly run: () => void;
}

/**
 * Timers for what waits for the mediator: while there is no way to it their time stands still, so that an attachment
 * that is held is not worn away by deadlines which no answer could have met.
 */
export class PathClock implements Timers {
  private readonly clock: Clock;
  private readonly timers = new Set<Timer>();
  /** Since when the timers run; undefined while they stand. */
  private runningSinceMs: number | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.runningSinceMs = clock.now();
  }

  /** Calls `run` when time has run for `delayMs`. Returns the cancel. */
  after(delayMs: number, run: () => void): () => void {
    const timer: Timer = { leftMs: delayMs + this.ranMs, cancel: undefined, run };
    this.timers.add(timer);
    if (this.runningSinceMs !== undefined) this.arm(timer);
    return () => {
      timer.cancel?.();
      this.timers.delete(timer);
    };
  }

  /** Milliseconds since {@link resume}: what is left of each timer was counted then. */
  private get ranMs(): number {
    return this.runningSinceMs === undefined ? 0 : this.clock.now() - this.runningSinceMs;
  }

  private arm(timer: Timer): void {
    timer.cancel = this.clock.after(timer.leftMs - this.ranMs, () => {
      this.timers.delete(timer);
      timer.run();
    });
  }

  /** Time stands still. */
  pause(): void {
    const { ranMs } = this;
    this.runningSinceMs = undefined;
    for (const timer of this.timers) {
      timer.cancel?.();
      timer.cancel = undefined;
      timer.leftMs -= ranMs;
    }
  }

  /** Time goes on. */
  resume(): void {
    if (this.runningSinceMs !== undefined) return;
    this.runningSinceMs = this.clock.now();
    for (const timer of this.timers) this.arm(timer);
  }
}
