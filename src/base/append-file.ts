import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EntremiseError, type RefusedBy } from './errors.ts';

/**
 * A file of JSON lines to which lines are only added, each written before `append` returns: what an audit needs, since
 * a line that is still on its way when the act happens is no audit (P6.9). Made 0600, missing directories 0700.
 */
export class AppendFile {
  readonly path: string;
  private readonly by: RefusedBy | undefined;
  private fd: number | undefined;
  /** The last line is there in part: the next one must not stand on it. */
  private torn = false;

  /** `by`: who refuses what could not be audited, as the error says it. */
  constructor(path: string, by?: RefusedBy) {
    this.path = path;
    this.by = by;
  }

  /** @throws EntremiseError `audit-unavailable` when the line is not written, all of it */
  append(value: Readonly<Record<string, unknown>>): void {
    const line = Buffer.from(`${this.torn ? '\n' : ''}${JSON.stringify(value)}\n`);
    let written = 0;
    try {
      written = writeSync(this.open(), line);
    } catch (cause) {
      this.reopen();
      throw this.unavailable(cause instanceof Error ? cause.message : String(cause), cause);
    }
    this.torn = written < line.length && (written > 0 || this.torn);
    if (written < line.length) throw this.unavailable('the disk is full', undefined);
  }

  private unavailable(reason: string, cause: unknown): EntremiseError {
    const message = `The audit line could not be written to ${this.path} (${reason}), so nothing was done.`;
    return new EntremiseError('audit-unavailable', {
      message,
      cause,
      ...(this.by === undefined ? {} : { by: this.by }),
    });
  }

  private open(): number {
    if (this.fd !== undefined) return this.fd;
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    this.fd = openSync(this.path, 'a', 0o600);
    return this.fd;
  }

  /** Closes the file; the next line opens it anew (after it was rotated). */
  reopen(): void {
    const { fd } = this;
    this.fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }
}
