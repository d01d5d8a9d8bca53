import type { Clock } from '../base/clock.ts';

/**
 * Gives memory back after a load. V8 collects when something is allocated, so what a load has left behind stays resident
 * while nothing happens, for hours on a gateway; and glibc keeps free pages between pieces that live.
 */

/** How often it is looked at. */
const lookEveryMs = 2000;

/** Growth since the last time below which it is not worth the milliseconds. */
const worthBytes = 2 * 1024 * 1024;

/** A process that works more than this share of its time is not disturbed. */
const quietShare = 0.05;

/** Collecting costs a hundredth of this. */
const pauseMs = 4000;

/** What a {@link MemoryKeeper} sees and does. */
export interface MemoryFacts {
  /** Bytes of the process that are in memory. */
  residentBytes(): number;
  /** Share of the time since the last call in which the process worked, 0 to 1. */
  busyShare(): number;
  /** Collects what nothing refers to, and gives free pages back. */
  collect(): void;
}

/** See the head of this file. */
export class MemoryKeeper {
  private readonly facts: MemoryFacts;
  private readonly clock: Clock;
  private keptBytes = 0;
  private collectedAtMs = 0;
  private worked = false;
  private cancel: (() => void) | undefined;

  constructor(facts: MemoryFacts, clock: Clock) {
    this.facts = facts;
    this.clock = clock;
  }

  /** Looks from now on, until {@link stop}. */
  start(): void {
    this.cancel = this.clock.after(lookEveryMs, () => {
      this.look();
      this.start();
    });
  }

  /** Looks no more. */
  stop(): void {
    this.cancel?.();
  }

  private look(): void {
    const wasBusy = this.facts.busyShare() > quietShare;
    this.worked ||= wasBusy;
    if (wasBusy || !this.isDue) return;
    this.facts.collect();
    this.worked = false;
    this.keptBytes = this.facts.residentBytes();
    this.collectedAtMs = this.clock.now();
  }

  /** It has worked, and the end of that work may have left memory that was in use; or it has grown little by little. */
  private get isDue(): boolean {
    const grown = this.facts.residentBytes() >= this.keptBytes + worthBytes;
    return grown || (this.worked && this.clock.now() - this.collectedAtMs >= pauseMs);
  }
}
