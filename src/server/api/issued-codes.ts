import type { Invitation } from '../../policy/documents.ts';
import { guarded } from '../sqlite.ts';
import type { ApiDatabase } from './api-database.ts';

/** Enrolment codes that the API has made, by the token that asked. Of a code itself nothing is kept. */

/** How long after its end a code is listed. */
const keptMs = 30 * 24 * 3_600_000;

/** Codes of a token that are listed although they are over: others are as quickly made as taken back. */
const maxOver = 1_000;

const forget = `DELETE FROM issuedCodes WHERE expiresAtMs < :tooOldMs OR id IN (SELECT id FROM issuedCodes
  WHERE tokenId = :tokenId AND (expiresAtMs <= :nowMs OR cancelledAtMs IS NOT NULL OR usedBy IS NOT NULL)
  ORDER BY rowid DESC LIMIT -1 OFFSET ${maxOver}) RETURNING id`;

/** A code as it is kept: whom it was made for. */
export interface IssuedCode {
  /** Text of the invitation's key. */
  readonly id: string;
  readonly name: string;
  readonly labels: readonly string[];
  readonly expiresAtMs: number;
  /** When it was taken back, if it was. */
  readonly cancelledAtMs: number | undefined;
  /** Which server and authority it leads to: the half of the code that is no secret, base64url. Once it was not kept. */
  readonly operatorHash: string | undefined;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly labels: string;
  readonly expiresAtMs: number;
  readonly cancelledAtMs: number | null;
  readonly operatorHash: string | null;
}

function codeOf({ labels, cancelledAtMs, operatorHash, ...said }: Row): IssuedCode {
  return {
    ...said,
    labels: labels === '' ? [] : labels.split(' '),
    cancelledAtMs: cancelledAtMs ?? undefined,
    operatorHash: operatorHash ?? undefined,
  };
}

/** See the head of this file. */
export class IssuedCodes {
  private readonly store: ApiDatabase;

  /** The database is closed by who has opened it. */
  constructor(store: ApiDatabase) {
    this.store = store;
  }

  /** Keeps whom one was made for, and forgets what is over for long or beyond number: gives the ids of that. */
  add(
    tokenId: string,
    { key, name, labels, notAfterMs }: Invitation,
    operatorHash: string,
    nowMs: number,
  ): string[] {
    const { path, database } = this.store;
    const sql = `INSERT INTO issuedCodes (id, tokenId, name, labels, expiresAtMs, operatorHash)
      VALUES (?, ?, ?, ?, ?, ?)`;
    return guarded(path, () => {
      const forgotten = database.prepare(forget).all({ tooOldMs: nowMs - keptMs, tokenId, nowMs });
      database.prepare(sql).run(key, tokenId, name, labels.join(' '), notAfterMs, operatorHash);
      return forgotten.map(row => String(row.id));
    });
  }

  /** Those that a token has asked for, the newest first. */
  of(tokenId: string): IssuedCode[] {
    const { path, database } = this.store;
    const sql = `SELECT id, name, labels, expiresAtMs, cancelledAtMs, operatorHash FROM issuedCodes
      WHERE tokenId = ? ORDER BY rowid DESC`;
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
