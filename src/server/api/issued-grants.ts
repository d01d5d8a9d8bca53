import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import type { Grant } from '../../policy/documents.ts';
import { guarded } from '../sqlite.ts';
import { type ApiDatabase, openApiDatabase } from './api-database.ts';

/** Grants that the API has signed as a delegate, by the token that asked. */

/** How long after its end a grant is listed. */
const keptMs = 30 * 24 * 3_600_000;

/** A grant as it is kept. */
export interface IssuedGrant {
  readonly text: string;
  /** When it was taken back, if it was. */
  readonly revokedAtMs: number | undefined;
}

/** See the head of this file. */
export class IssuedGrants {
  private readonly path: string;
  private readonly database: DatabaseSyncInstance;

  private constructor({ path, database }: ApiDatabase) {
    this.path = path;
    this.database = database;
  }

  /** Opens those of a server's state directory, whose lock the caller has. @throws EntremiseError `environment-unfit`, `state-unreadable` */
  static async open(stateDir: string): Promise<IssuedGrants> {
    return new IssuedGrants(await openApiDatabase(stateDir));
  }

  /** Keeps one, and forgets what is over for long. */
  add(tokenId: string, { id, text, expiresAtMs }: Grant, nowMs: number): void {
    const sql = 'INSERT INTO issuedGrants (id, tokenId, text, expiresAtMs) VALUES (?, ?, ?, ?)';
    guarded(this.path, () => {
      this.database.prepare('DELETE FROM issuedGrants WHERE expiresAtMs < ?').run(nowMs - keptMs);
      this.database.prepare(sql).run(id, tokenId, text, expiresAtMs);
    });
  }

  /** Those that a token has asked for, the newest first. */
  of(tokenId: string): IssuedGrant[] {
    const sql = 'SELECT text, revokedAtMs FROM issuedGrants WHERE tokenId = ? ORDER BY rowid DESC';
    return guarded(this.path, () =>
      this.database
        .prepare(sql)
        .all(tokenId)
        .map(({ text, revokedAtMs }) => ({
          text: String(text),
          revokedAtMs: typeof revokedAtMs === 'number' ? revokedAtMs : undefined,
        })),
    );
  }

  /** It is taken back. */
  revoke(id: string, nowMs: number): void {
    const sql = 'UPDATE issuedGrants SET revokedAtMs = coalesce(revokedAtMs, ?) WHERE id = ?';
    guarded(this.path, () => this.database.prepare(sql).run(nowMs, id));
  }

  close(): void {
    this.database.close();
  }
}
