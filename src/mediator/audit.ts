import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EntremiseError } from '../base/errors.ts';

/**
 * The audit file (P6.9): one JSON line for each command and each new datagram destination, written before the act. It
 * is appended synchronously, because a line that is still on its way when the act happens is no audit.
 */

/** What a line says of the command. */
export interface AuditDetails {
  readonly verb: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly address?: string;
  readonly name?: string;
  readonly number?: number;
  readonly choice?: string;
  readonly stream?: number;
  readonly streams?: string;
  readonly what?: string;
}

/** Who asked, by which right. */
export interface AuditWho {
  /** Text of the terminal's key. */
  readonly terminal: string;
  /** `jti` of the grant. */
  readonly grant: string;
  /** In hexadecimal. */
  readonly attachment: string;
}

/** A line: who, what, and what was decided. */
export interface AuditEntry extends AuditWho, AuditDetails {
  readonly decision: 'allowed' | 'denied';
  readonly by?: string;
  readonly code?: string;
  readonly field?: string;
}

/** Where audit lines go. */
export interface Audit {
  /** @throws EntremiseError `audit-unavailable` when the line is not written, all of it */
  write(entry: AuditEntry): void;
}

/** See the head of this file. */
export class AuditFile implements Audit {
  readonly path: string;
  private readonly wallTimeMs: () => number;
  private fd: number | undefined;

  constructor(path: string, wallTimeMs: () => number) {
    this.path = path;
    this.wallTimeMs = wallTimeMs;
  }

  write(entry: AuditEntry): void {
    const line = Buffer.from(
      `${JSON.stringify({ time: new Date(this.wallTimeMs()).toISOString(), ...entry })}\n`,
    );
    try {
      if (writeSync(this.open(), line) === line.length) return;
    } catch (cause) {
      this.reopen();
      throw this.unavailable(cause);
    }
    throw this.unavailable(undefined);
  }

  private unavailable(cause: unknown): EntremiseError {
    const reason = cause instanceof Error ? cause.message : 'the disk is full';
    return new EntremiseError('audit-unavailable', {
      by: 'mediator',
      message: `The audit line could not be written to ${this.path} (${reason}), so nothing was done.`,
      cause,
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
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }
}
