import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EntremiseError } from './errors.ts';

/**
 * A file of JSON lines to which lines are only added, each written before `append` returns: what an audit needs, since
 * a line that is still on its way when the act happens is no audit (P6.9).
 */
export class AppendFile {
  readonly path: string;
  private fd: number | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws EntremiseError `audit-unavailable` when the line is not written, all of it */
  append(value: Readonly<Record<string, unknown>>): void {
    const line = Buffer.from(`${JSON.stringify(value)}\n`);
    try {
      if (writeSync(this.open(), line) === line.length) return;
    } catch (cause) {
      this.reopen();
      throw this.unavailable(cause instanceof Error ? cause.message : String(cause), cause);
    }
    throw this.unavailable('the disk is full', undefined);
  }

  private unavailable(reason: string, cause: unknown): EntremiseError {
    const message = `The audit line could not be written to ${this.path} (${reason}), so nothing was done.`;
    return new EntremiseError('audit-unavailable', { message, cause });
  }

  private open(): number {
    if (this.fd !== undefined) return this.fd;
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    this.fd = openSync(this.path, 'a', 0o600);
    return this.fd;
  }

  /** Closes the file; the next line opens it anew (after it was rotated). */
  reopen(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }
}
