/** Where time comes from. Everything that waits takes one, so that tests need not wait. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  now(): number;
  /** Milliseconds since 1970 as the machine believes (docs/protocol.md §6.7 says what is done when it is wrong). */
  wallTimeMs(): number;
  /** Calls `run` once, not before `delayMs` from now. Does not keep the process alive. Returns the cancel. */
  after(delayMs: number, run: () => void): () => void;
}

/** A timer of Node waits 2^31 - 1 ms at most; what is longer it runs at once. */
const longestTimerMs = 2 ** 31 - 1;

const nothing = (): void => {};

/** Something that is run once, unless it is called off. Then it refers to nothing: whoever waited may be kept for hours after. */
class Wait {
  private readonly endMs: number;
  private run: () => void;
  private timer: NodeJS.Timeout | undefined;

  constructor(delayMs: number, run: () => void) {
    this.endMs = performance.now() + delayMs;
    this.run = run;
    this.arm();
  }

  private arm(): void {
    const leftMs = Math.max(0, Math.ceil(this.endMs - performance.now()));
    this.timer = setTimeout(fire, Math.min(leftMs, longestTimerMs), this).unref();
  }

  /** Node counts from the start of its loop's turn, so its timers come early after a long one. */
  onTimer(): void {
    if (performance.now() < this.endMs) return this.arm();
    const { run } = this;
    this.end();
    run();
  }

  end(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.run = nothing;
  }
}

const fire = (wait: Wait): void => wait.onTimer();

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTimeMs: () => Date.now(),
  after(delayMs, run) {
    const wait = new Wait(delayMs, run);
    return () => wait.end();
  },
};

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
  /** Moves time forward by `ms`, running what falls due in order of its time. */
  advance(ms: number): void;
}

/** A {@link FakeClock} that starts at 0 (wall time `startMs`). */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let now = 0;
  let due: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    wallTimeMs: () => startMs + now,
    after(delayMs, run) {
      const entry = { at: now + Math.max(0, delayMs), run };
      due.push(entry);
      return () => {
        due = due.filter(other => other !== entry);
      };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const next = due.filter(entry => entry.at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        due = due.filter(entry => entry !== next);
        now = next.at;
        next.run();
      }
      now = end;
    },
  };
}
