import type { Clock } from '../base/clock.ts';

/**
 * Says when nothing has happened for a while. Activity only notes the time; the timer looks at it when it fires, so a
 * busy socket pays no timer per frame.
 */
export class IdleTimer {
  private readonly clock: Clock;
  private readonly onIdle: () => void;
  private timeoutMs = 0;
  private lastMs = 0;
  private cancel: (() => void) | undefined;

  constructor(clock: Clock, onIdle: () => void) {
    this.clock = clock;
    this.onIdle = onIdle;
  }

  /** From now on `onIdle` is called when `timeoutMs` have passed without activity; 0 switches it off. */
  set(timeoutMs: number): void {
    this.stop();
    this.timeoutMs = timeoutMs;
    this.touch();
  }

  /** Something has happened. */
  touch(): void {
    if (this.timeoutMs === 0) return;
    this.lastMs = this.clock.now();
    if (this.cancel === undefined) this.arm(this.timeoutMs);
  }

  /** Nothing is told any more until {@link set} or {@link touch}. */
  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }

  private arm(delayMs: number): void {
    this.cancel = this.clock.after(delayMs, () => {
      this.cancel = undefined;
      const restMs = this.lastMs + this.timeoutMs - this.clock.now();
      if (restMs > 0) this.arm(restMs);
      else this.onIdle();
    });
  }
}
