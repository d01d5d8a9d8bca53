import type { Invitation } from '../../policy/documents.ts';
import { guarded } from '../sqlite.ts';
import type { ApiDatabase } from './api-database.ts';

/** Enrolment codes that the API has made, by the token that asked. Of a code itself nothing is kept. */

/** How long after its end a code is listed. */
const keptMs = 30 * 24 * 3_600_000;

/** A code as it is kept: whom it was made for. */
export interface IssuedCode {
  /** Text of the invitation's key. */
  readonly id: string;
  readonly name: string;
  readonly labels: readonly string[];
  readonly expiresAtMs: number;
  /** When it was taken back, if it was. */
  readonly cancelledAtMs: number | undefined;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly labels: string;
  readonly expiresAtMs: number;
  readonly cancelledAtMs: number | null;
}

function codeOf({ labels, cancelledAtMs, id, name, expiresAtMs }: Row): IssuedCode {
  const list = labels === '' ? [] : labels.split(' ');
  return { id, name, labels: list, expiresAtMs, cancelledAtMs: cancelledAtMs ?? undefined };
}

/** See the head of this file. */
export class IssuedCodes {
  private readonly store: ApiDatabase;

  /** The database is closed by who has opened it. */
  constructor(store: ApiDatabase) {
    this.store = store;
  }

  /** Keeps whom one was made for, and forgets what is over for long: gives the ids of that. */
  add(tokenId: string, { key, name, labels, notAfterMs }: Invitation, nowMs: number): string[] {
    const { path, database } = this.store;
    const forget = 'DELETE FROM issuedCodes WHERE expiresAtMs < ? RETURNING id';
    const sql = 'INSERT INTO issuedCodes (id, tokenId, name, labels, expiresAtMs) VALUES (?, ?, ?, ?, ?)';
    return guarded(path, () => {
      const forgotten = database.prepare(forget).all(nowMs - keptMs);
      database.prepare(sql).run(key, tokenId, name, labels.join(' '), notAfterMs);
      return forgotten.map(row => String(row.id));
    });
  }

  /** Those that a token has asked for, the newest first. */
  of(tokenId: string): IssuedCode[] {
    const { path, database } = this.store;
    const sql = `SELECT id, name, labels, expiresAtMs, cancelledAtMs FROM issuedCodes WHERE tokenId = ?
      ORDER BY rowid DESC`;
    return guarded(path, () =>
      database
        .prepare(sql)
        .all(tokenId)
        .map(row => codeOf(row as unknown as Row)),
    );
  }

  /** Ids of those of a token that may still be used, as far as is known here. */
  openOf(tokenId: string, nowMs: number): string[] {
    const { path, database } = this.store;
    const sql = `SELECT id FROM issuedCodes
      WHERE tokenId = ? AND expiresAtMs > ? AND cancelledAtMs IS NULL AND usedBy IS NULL`;
    return guarded(path, () =>
      database
        .prepare(sql)
        .all(tokenId, nowMs)
        .map(row => String(row.id)),
    );
  }

  /** That key has enrolled with it. */
  markUsed(id: string, usedBy: string): void {
    const { path, database } = this.store;
    const sql = 'UPDATE issuedCodes SET usedBy = ? WHERE id = ?';
    guarded(path, () => database.prepare(sql).run(usedBy, id));
  }

  /** It is taken back. */
  cancel(id: string, nowMs: number): void {
    const { path, database } = this.store;
    const sql = 'UPDATE issuedCodes SET cancelledAtMs = coalesce(cancelledAtMs, ?) WHERE id = ?';
    guarded(path, () => database.prepare(sql).run(nowMs, id));
  }
}
