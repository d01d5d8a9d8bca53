import type { Clock } from '../../base/clock.ts';
import type { Environment } from './environment.ts';

/**
 * Looks whether the environment has changed (S5). Where the addon is, the kernel tells of changes of interfaces, addresses
 * and routes (netlink), and everything is read at once; without it the routes are glanced at each second. Whatever the
 * kernel does not tell (a name) is read every few seconds: a change is told within five.
 */

/** How often the ways to the outside are looked at where nobody tells of changes. */
const glanceEveryMs = 1000;

/** How often everything is looked at. */
const lookEveryMs = 3000;

/** What was read this lately is not read again for a sign that is none of the kernel's. */
const freshMs = 2000;

/** The kernel tells of one change in several messages, and of each of many: the first is followed at once, the rest together. */
const gatherMs = 250;

/** What a watcher looks at. */
export interface EnvironmentSources {
  /** Everything. */
  read(): Environment;
  /** The ways to the outside, in words, which costs little to say. */
  wayOut(): string;
  /** Calls when the network has changed, until the answer is called; undefined where nobody tells. */
  watchNetwork?(onNews: () => void): (() => void) | undefined;
}

/** See the head of this file. */
export class EnvironmentWatcher {
  private readonly sources: EnvironmentSources;
  private readonly clock: Clock;
  private readonly onChange: () => void;
  private lastWayOut: string;
  private last: Environment;
  private lastText: string;
  private lastReadMs: number;
  private cancelTimer: (() => void) | undefined;
  private pending: { readonly atMs: number; readonly cancel: () => void } | undefined;
  private stopWatching: (() => void) | undefined;

  /** `onChange` is called after {@link current} has changed in anything. */
  constructor(sources: EnvironmentSources, clock: Clock, onChange: () => void) {
    this.sources = sources;
    this.clock = clock;
    this.onChange = onChange;
    this.lastWayOut = sources.wayOut();
    this.last = sources.read();
    this.lastText = JSON.stringify(this.last);
    this.lastReadMs = clock.now();
  }

  /** What is known. */
  get current(): Environment {
    return this.last;
  }

  /** Looks from now on, until {@link stop}. */
  start(): void {
    this.stopWatching = this.sources.watchNetwork?.(() => this.readSoon(gatherMs));
    this.wait();
  }

  private wait(): void {
    const everyMs = this.stopWatching === undefined ? glanceEveryMs : lookEveryMs;
    this.cancelTimer = this.clock.after(everyMs, () => {
      this.wait();
      this.glance();
    });
  }

  private glance(): void {
    const elsewhere = this.stopWatching === undefined && this.sources.wayOut() !== this.lastWayOut;
    if (elsewhere || this.ageMs >= lookEveryMs) this.readAnew();
  }

  /** Looks no more. */
  stop(): void {
    this.cancelTimer?.();
    this.pending?.cancel();
    this.stopWatching?.();
  }

  /** Looks now, or a little later if it was done just before: something has happened that may be a sign of change. */
  look(): void {
    this.readSoon(freshMs);
  }

  private get ageMs(): number {
    return this.clock.now() - this.lastReadMs;
  }

  private readSoon(noOftenerThanMs: number): void {
    const atMs = this.lastReadMs + noOftenerThanMs;
    if (atMs <= this.clock.now()) return this.readAnew();
    if (this.pending !== undefined && this.pending.atMs <= atMs) return;
    this.pending?.cancel();
    this.pending = { atMs, cancel: this.clock.after(atMs - this.clock.now(), () => this.readAnew()) };
  }

  private readAnew(): void {
    this.pending?.cancel();
    this.pending = undefined;
    this.lastReadMs = this.clock.now();
    this.lastWayOut = this.sources.wayOut();
    const now = this.sources.read();
    const text = JSON.stringify(now);
    if (text === this.lastText) return;
    this.last = now;
    this.lastText = text;
    this.onChange();
  }
}
