import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/** How many lines a {@link SparingLog} writes, and in what time. */
export interface SparingLogOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly lines: number;
  readonly withinMs: number;
}

/**
 * Log lines that strangers cause: only so many in a while, and then one that says how many more there were. Who can
 * connect can so not fill a disk, nor slow the program down by what it writes.
 */
export class SparingLog {
  private readonly options: SparingLogOptions;
  private written = 0;
  private left = 0;
  private running = false;

  constructor(options: SparingLogOptions) {
    this.options = options;
  }

  /** A line of level info, if there is still room for it. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void {
    const { log, clock, lines, withinMs } = this.options;
    if (!this.running) {
      this.running = true;
      clock.after(withinMs, () => this.begin());
    }
    if (this.written >= lines) {
      this.left++;
      return;
    }
    this.written++;
    log.info(fields, message);
  }

  private begin(): void {
    const { log, withinMs } = this.options;
    if (this.left > 0) log.warn({ lines: this.left, withinMs }, 'lines like the last ones were left out');
    this.running = false;
    this.written = 0;
    this.left = 0;
  }
}
