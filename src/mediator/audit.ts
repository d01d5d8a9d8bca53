import { AppendFile } from '../base/append-file.ts';

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
  readonly fallback?: string;
  readonly back?: boolean;
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
  private readonly file: AppendFile;
  private readonly wallTimeMs: () => number;

  constructor(path: string, wallTimeMs: () => number, maxBytes?: number) {
    this.file = new AppendFile(path, 'mediator', maxBytes);
    this.wallTimeMs = wallTimeMs;
  }

  write(entry: AuditEntry): void {
    this.file.append({ time: new Date(this.wallTimeMs()).toISOString(), ...entry });
  }

  /** A line for a head of the server's audit (P6.10). @throws EntremiseError `audit-unavailable` */
  keepHead(serverAuditHead: { readonly seq: number; readonly hash: string; readonly timeMs: number }): void {
    this.file.append({ time: new Date(this.wallTimeMs()).toISOString(), serverAuditHead });
  }

  /** Closes the file; the next line opens it anew (after it was rotated). */
  reopen(): void {
    this.file.reopen();
  }
}
