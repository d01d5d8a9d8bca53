import type { Clock } from './clock.ts';

/**
 * Gives memory back after a load. V8 collects when something is allocated, so what a load has left behind stays resident
 * while nothing happens, for hours on a gateway; and glibc keeps free pages between pieces that live. What of the program a
 * start or a load needed (compilers, the parser) stays mapped as long, on a gateway a quarter of all.
 */

/** How often it is looked at. */
const lookEveryMs = 2000;

/** When collecting is worth it. */
export interface MemoryThrift {
  /** Growth since the last time below which it is not worth the milliseconds. */
  readonly worthBytes: number;
  /** The end of a load is not collected more often than that. */
  readonly pauseMs: number;
  /** A process that works more than this share of its time is not disturbed. */
  readonly quietShare: number;
}

/** For a gateway, on which every MiB counts: collecting costs a hundredth of the pause. */
export const gatewayThrift: MemoryThrift = { worthBytes: 2 * 1024 * 1024, pauseMs: 4000, quietShare: 0.05 };

/** For a server with thousands of links: they are never all quiet, and collecting takes some hundredths of a second. */
export const serverThrift: MemoryThrift = {
  worthBytes: 16 * 1024 * 1024,
  pauseMs: 15_000,
  quietShare: 0.25,
};

/** What a {@link MemoryKeeper} sees and does. */
export interface MemoryFacts {
  /** Bytes in memory that are the process's own: not those of its program. */
  ownBytes(): number;
  /** Share of the time since the last call in which the process worked, 0 to 1. */
  busyShare(): number;
  /** Collects what nothing refers to, and gives free pages back. */
  collect(): void;
}

/** See the head of this file. */
export class MemoryKeeper {
  private readonly facts: MemoryFacts;
  private readonly clock: Clock;
  private readonly thrift: MemoryThrift;
  private keptBytes = 0;
  private collectedAtMs = 0;
  private worked = false;
  private cancel: (() => void) | undefined;

  constructor(facts: MemoryFacts, clock: Clock, thrift = gatewayThrift) {
    this.facts = facts;
    this.clock = clock;
    this.thrift = thrift;
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
    const wasBusy = this.facts.busyShare() > this.thrift.quietShare;
    this.worked ||= wasBusy;
    if (wasBusy || !this.isDue) return;
    this.facts.collect();
    this.worked = false;
    this.keptBytes = this.facts.ownBytes();
    this.collectedAtMs = this.clock.now();
  }

  /** It has worked, and the end of that work may have left memory that was in use; or it has grown little by little. */
  private get isDue(): boolean {
    const { worthBytes, pauseMs } = this.thrift;
    const grown = this.facts.ownBytes() >= this.keptBytes + worthBytes;
    return grown || (this.worked && this.clock.now() - this.collectedAtMs >= pauseMs);
  }
}
