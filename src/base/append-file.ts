import { closeSync, fstatSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EntremiseError, type RefusedBy } from './errors.ts';
import { makeDirectory } from './make-directory.ts';

const lineFeed = Buffer.from('\n');

/**
 * A file of JSON lines to which lines are only added, each written before `append` returns: what an audit needs, since
 * a line that is still on its way when the act happens is no audit (P6.9). Made 0600, missing directories 0700. Where it
 * may only be so long it becomes FILE.1, in the place of an older one, and begins anew.
 */
export class AppendFile {
  readonly path: string;
  private readonly by: RefusedBy | undefined;
  private readonly maxBytes: number;
  private fd: number | undefined;
  private bytes = 0;
  /** The last line is there in part: the next one must not stand on it. */
  private torn = false;

  /** `by`: who refuses what could not be audited, as the error says it. `maxBytes`: of the file; no bound when absent. */
  constructor(path: string, by?: RefusedBy, maxBytes = Number.POSITIVE_INFINITY) {
    this.path = path;
    this.by = by;
    this.maxBytes = maxBytes;
  }

  /** @throws EntremiseError `audit-unavailable` when the line is not written, all of it */
  append(value: Readonly<Record<string, unknown>>): void {
    let line = Buffer.from(`${JSON.stringify(value)}\n`);
    let written = 0;
    try {
      const fd = this.openFor(line.length);
      if (this.torn) line = Buffer.concat([lineFeed, line]);
      written = writeSync(fd, line);
      this.bytes += written;
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

  private openFor(bytes: number): number {
    const fd = this.open();
    if (this.bytes === 0 || this.bytes + bytes <= this.maxBytes) return fd;
    this.reopen();
    renameSync(this.path, `${this.path}.1`);
    return this.open();
  }

  private open(): number {
    if (this.fd !== undefined) return this.fd;
    makeDirectory(dirname(this.path));
    this.fd = openSync(this.path, 'a+', 0o600);
    this.bytes = fstatSync(this.fd).size;
    // A process before this one may have ended within a line.
    const last = Buffer.alloc(1);
    this.torn =
      this.bytes > 0 && readSync(this.fd, last, 0, 1, this.bytes - 1) === 1 && !last.equals(lineFeed);
    return this.fd;
  }

  /** Closes the file; the next line opens it anew (after it was rotated). */
  reopen(): void {
    const { fd } = this;
    this.fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }
}
