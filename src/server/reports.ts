import type { Clock } from '../base/clock.ts';
import { type Report, report } from '../wire/messages/report.ts';
import type { Store } from './store.ts';

/** A REPORT is in the store at the latest after this long: each write waits for the disk, and members may send hundreds a second. */
const saveAfterMs = 2_000;

/** The last REPORT of each mediator: in memory since this process began, before that from the store (P6.9). */
export class Reports {
  private readonly fresh = new Map<string, Report>();
  private readonly unsaved = new Set<string>();
  private readonly store: Store;
  private readonly clock: Clock;
  private cancelSave: (() => void) | undefined;

  constructor(store: Store, clock: Clock) {
    this.store = store;
    this.clock = clock;
  }

  /** A mediator has reported. */
  keep(mediator: string, value: Report): void {
    this.fresh.set(mediator, value);
    this.unsaved.add(mediator);
    this.cancelSave ??= this.clock.after(saveAfterMs, () => this.save());
  }

  /** Writes what is not in the store yet. */
  save(): void {
    this.cancelSave?.();
    this.cancelSave = undefined;
    for (const mediator of this.unsaved) {
      const value = this.fresh.get(mediator);
      if (value !== undefined)
        this.store.saveReport(mediator, report.toBytes(value), this.clock.wallTimeMs());
    }
    this.unsaved.clear();
  }

  /** What is known of a mediator that may be offline. */
  last(mediator: string): { readonly report: Report | undefined; readonly lastSeenMs: number } {
    const stored = this.store.mediator(mediator);
    return {
      report: this.fresh.get(mediator) ?? readReport(stored?.report),
      lastSeenMs: stored?.lastSeenMs ?? 0,
    };
  }
}

/** A REPORT that another version wrote may say what this one does not know: then it is as if there were none. */
function readReport(bytes: Uint8Array | undefined): Report | undefined {
  try {
    return bytes && report.fromBytes(bytes);
  } catch {
    return undefined;
  }
}
