import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { readStateFileIfPresent, removeStateFile, writePrivateFile } from '../../base/state-file.ts';
import type { OwnerSide } from '../../policy/access-request.ts';
import type { OwnerPolicy } from '../../policy/owner-policy.ts';
import { type Purpose, purposes } from '../../policy/schema.ts';

/**
 * What the owner says beyond the configuration (P6.2): the consent window, opened for some minutes, and the stop, which
 * outweighs even `consent = "always"` and is remembered until the owner allows something again.
 */

/** The longest that a consent window may be open. */
export const maxWindowMinutes = 24 * 60;

/** Until when consent is given, on the monotonic clock. */
export type ConsentUntilMs = OwnerSide['consentUntilMs'];

/** See the head of this file. One for the life of the program. */
export class Consent {
  private readonly clock: Clock;
  private readonly stopFile: string;
  private readonly untilMs = new Map<Purpose, number>();
  private isStopped: boolean;
  private cancelEnd = () => {};
  /** What is allowed has changed: whoever enforces it is to ask anew. */
  onChange = () => {};

  /** `stateDir`: where a stop is remembered. */
  constructor(stateDir: string, clock: Clock) {
    this.clock = clock;
    this.stopFile = join(stateDir, 'stopped');
    this.isStopped = readStateFileIfPresent(this.stopFile) !== undefined;
  }

  /** True from {@link stop} until the next {@link allow}. */
  get stopped(): boolean {
    return this.isStopped;
  }

  /** For authorise(). */
  get consentUntilMs(): ConsentUntilMs {
    return Object.fromEntries(this.untilMs);
  }

  /** The policy as it holds at this moment: while stopped everything waits for a window. */
  applied(policy: OwnerPolicy): OwnerPolicy {
    if (!this.isStopped) return policy;
    const { assistance, service } = policy;
    return {
      ...policy,
      assistance: { ...assistance, consent: 'window' },
      service: { ...service, consent: 'window' },
    };
  }

  /** How long the window of a purpose stays open, in milliseconds; 0 when it is closed. */
  leftMs(purpose: Purpose): number {
    return Math.max(0, (this.untilMs.get(purpose) ?? 0) - this.clock.now());
  }

  /** Opens the windows for so many minutes from now, and takes a stop back. */
  allow(minutes: number, forPurposes: readonly Purpose[] = purposes): void {
    const untilMs = this.clock.now() + minutes * 60_000;
    for (const purpose of forPurposes) this.untilMs.set(purpose, untilMs);
    if (this.isStopped) removeStateFile(this.stopFile);
    this.isStopped = false;
    this.watchEnd();
    this.onChange();
  }

  /** Closes the windows; nobody is let in until {@link allow}, and whoever is there is sent away. */
  stop(): void {
    this.untilMs.clear();
    this.cancelEnd();
    const isNew = !this.isStopped;
    this.isStopped = true;
    // First what the owner wants, then the memory of it.
    this.onChange();
    if (isNew) writePrivateFile(this.stopFile, '');
  }

  private watchEnd(): void {
    this.cancelEnd();
    const ends = [...this.untilMs.values()].filter(end => end > this.clock.now());
    if (ends.length === 0) return;
    this.cancelEnd = this.clock.after(Math.min(...ends) - this.clock.now(), () => {
      this.onChange();
      this.watchEnd();
    });
  }
}
