import type { Clock } from '../../base/clock.ts';
import type { Environment } from './environment.ts';

/**
 * Looks whether the environment has changed (S5). Linux tells of changes by netlink, which Node does not speak; reading
 * some files of /proc every few seconds is cheap enough, and a change is told within five seconds. Another way out is told
 * within one: only the routes are read for it.
 */

/** How often the routes are looked at. */
const glanceEveryMs = 1000;

/** How many glances there are to one look at everything. */
const glancesPerLook = 3;

/** What was read this lately is not read again. */
const freshMs = 2000;

/** See the head of this file. */
export class EnvironmentWatcher {
  private readonly read: () => Environment;
  private readonly clock: Clock;
  private readonly onChange: () => void;
  private readonly wayOut: () => string;
  private lastWayOut: string;
  private glances = 0;
  private last: Environment;
  private lastText: string;
  private lastReadMs: number;
  private cancel: (() => void) | undefined;

  /**
   * `onChange` is called after {@link current} has changed in anything. `wayOut`: the ways to the outside, in words, which
   * costs little to say.
   */
  constructor(read: () => Environment, clock: Clock, onChange: () => void, wayOut = () => '') {
    this.read = read;
    this.wayOut = wayOut;
    this.lastWayOut = wayOut();
    this.clock = clock;
    this.onChange = onChange;
    this.last = read();
    this.lastText = JSON.stringify(this.last);
    this.lastReadMs = clock.now();
  }

  /** What is known. */
  get current(): Environment {
    return this.last;
  }

  /** Looks from now on, until {@link stop}. */
  start(): void {
    this.cancel = this.clock.after(glanceEveryMs, () => {
      this.start();
      this.glance();
    });
  }

  private glance(): void {
    this.glances++;
    const wayOut = this.wayOut();
    if (wayOut !== this.lastWayOut) this.readAnew();
    else if (this.glances % glancesPerLook === 0) this.look();
    this.lastWayOut = wayOut;
  }

  /** Looks no more. */
  stop(): void {
    this.cancel?.();
  }

  /** Looks now, unless it was done just before: something has happened that may be a sign of change. */
  look(): void {
    if (this.clock.now() - this.lastReadMs >= freshMs) this.readAnew();
  }

  private readAnew(): void {
    this.lastReadMs = this.clock.now();
    const now = this.read();
    const text = JSON.stringify(now);
    if (text === this.lastText) return;
    this.last = now;
    this.lastText = text;
    this.onChange();
  }
}
