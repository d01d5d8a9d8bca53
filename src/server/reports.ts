import type { Clock } from '../base/clock.ts';
import { asEntremiseError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Report, report } from '../wire/messages/report.ts';
import type { Store, StoredMediator } from './store.ts';

/**
 * What was heard of a mediator is in the store at the latest after this long. A write of its own for each would wait for
 * the disk each time, and a fleet that comes back after a restart waits for that.
 */
export const saveAfterMs = 2_000;

/** What {@link Reports} need. */
export interface ReportsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * When each mediator was heard last, and its last REPORT (P6.9). Only what is not in the store yet is kept here: most
 * mediators say nothing new for days.
 */
export class Reports {
  private readonly options: ReportsOptions;
  private readonly unsaved = new Map<string, StoredMediator>();
  private cancelSave: (() => void) | undefined;

  constructor(options: ReportsOptions) {
    this.options = options;
  }

  /** A mediator has reported. */
  keep(mediator: string, value: Report): void {
    this.note(mediator, report.toBytes(value));
  }

  /** A mediator has come or gone. */
  seen(mediator: string): void {
    this.note(mediator, undefined);
  }

  private note(mediator: string, bytes: Uint8Array | undefined): void {
    const { clock } = this.options;
    const known = bytes ?? this.unsaved.get(mediator)?.report;
    this.unsaved.set(mediator, { report: known, lastSeenMs: clock.wallTimeMs() });
    this.cancelSave ??= clock.after(saveAfterMs, () => this.save());
  }

  /** Writes what is not in the store yet. What a full disk does not take is tried again. */
  save(): void {
    const { store, clock, log } = this.options;
    this.cancelSave?.();
    this.cancelSave = undefined;
    if (this.unsaved.size === 0) return;
    try {
      store.saveMediators(this.unsaved);
      this.unsaved.clear();
    } catch (thrown) {
      log.error({ err: asEntremiseError(thrown) }, 'what was heard of mediators cannot be kept');
      this.cancelSave = clock.after(saveAfterMs, () => this.save());
    }
  }

  /** Writes no more, after a last time. */
  end(): void {
    this.save();
    this.cancelSave?.();
  }

  /** What is known of a mediator that may be offline. */
  last(mediator: string): { readonly report: Report | undefined; readonly lastSeenMs: number } {
    const fresh = this.unsaved.get(mediator);
    const stored = fresh?.report === undefined ? this.options.store.mediator(mediator) : undefined;
    return {
      report: readReport(fresh?.report ?? stored?.report),
      lastSeenMs: fresh?.lastSeenMs ?? stored?.lastSeenMs ?? 0,
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
