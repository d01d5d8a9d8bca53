import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { EntremiseError } from '../../base/errors.ts';
import { guarded, openPrivateDatabase } from '../sqlite.ts';

/**
 * Bearer tokens of the HTTP API (RFC 6750), in a database of their own beside the server's, so that `server token` works
 * while the server runs and a token that is revoked is refused by the next request. Of a secret only its SHA-256 is kept:
 * it is 256 random bits, which no dictionary has.
 */

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, secretHash BLOB NOT NULL,
    grantId TEXT, createdAtMs INTEGER NOT NULL, expiresAtMs INTEGER NOT NULL, revokedAtMs INTEGER);
`;

/** A token, without its secret. */
export interface ApiToken {
  readonly id: string;
  /** Whose it is, for people. */
  readonly name: string;
  /** The grant under which it acts; without one it reads figures and nothing else. */
  readonly grantId: string | undefined;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | undefined;
}

/** What is said when a token is made. */
export interface TokenWish {
  readonly name: string;
  readonly grantId: string | undefined;
  readonly lifeMs: number;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly secretHash: Uint8Array;
  readonly grantId: string | null;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | null;
}

const hashOf = (secret: string) => createHash('sha256').update(secret).digest();

function tokenOf({ id, name, grantId, createdAtMs, expiresAtMs, revokedAtMs }: Row): ApiToken {
  const [grant, revoked] = [grantId ?? undefined, revokedAtMs ?? undefined];
  return { id, name, grantId: grant, createdAtMs, expiresAtMs, revokedAtMs: revoked };
}

/** See the head of this file. */
export class TokenStore {
  private readonly path: string;
  private readonly database: DatabaseSyncInstance;

  private constructor(path: string, database: DatabaseSyncInstance) {
    this.path = path;
    this.database = database;
  }

  /**
   * Opens the tokens of a server's state directory.
   * @throws EntremiseError `environment-unfit` without SQLite, `state-unreadable`
   */
  static async open(stateDir: string): Promise<TokenStore> {
    const path = join(stateDir, 'tokens.sqlite');
    return new TokenStore(path, await openPrivateDatabase(path, schema));
  }

  /** Makes a token; its text is shown once and kept nowhere. */
  create(
    { name, grantId, lifeMs }: TokenWish,
    nowMs: number,
  ): { readonly token: ApiToken; readonly text: string } {
    const id = randomBytes(6).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    const sql = `INSERT INTO tokens (id, name, secretHash, grantId, createdAtMs, expiresAtMs) VALUES (?, ?, ?, ?, ?, ?)`;
    const expiresAtMs = nowMs + lifeMs;
    guarded(this.path, () =>
      this.database.prepare(sql).run(id, name, hashOf(secret), grantId ?? null, nowMs, expiresAtMs),
    );
    const token = { id, name, grantId, createdAtMs: nowMs, expiresAtMs, revokedAtMs: undefined };
    return { token, text: `entremise_${id}_${secret}` };
  }

  /** All of them, the newest first. */
  list(): ApiToken[] {
    return guarded(this.path, () =>
      this.database
        .prepare('SELECT * FROM tokens ORDER BY createdAtMs DESC, id')
        .all()
        .map(row => tokenOf(row as unknown as Row)),
    );
  }

  /**
   * From now on nobody gets in by it.
   * @throws EntremiseError `bad-request` when there is none with that id
   */
  revoke(id: string, nowMs: number): void {
    this.change('UPDATE tokens SET revokedAtMs = coalesce(revokedAtMs, ?) WHERE id = ?', nowMs, id);
  }

  /**
   * From now on it acts under another grant: one that was renewed.
   * @throws EntremiseError `bad-request` when there is none with that id
   */
  setGrant(id: string, grantId: string): void {
    this.change('UPDATE tokens SET grantId = ? WHERE id = ?', grantId, id);
  }

  private change(sql: string, value: string | number, id: string): void {
    const changed = guarded(this.path, () => Number(this.database.prepare(sql).run(value, id).changes));
    if (changed !== 1) throw new EntremiseError('bad-request', { message: `There is no token ${id}.` });
  }

  /** The token whose text this is, if it is good now. */
  find(text: string, nowMs: number): ApiToken | undefined {
    const [, id, secret] = /^entremise_([0-9a-f]{12})_([\w-]{43})$/.exec(text) ?? [];
    if (id === undefined || secret === undefined) return undefined;
    const row: unknown = guarded(this.path, () =>
      this.database.prepare('SELECT * FROM tokens WHERE id = ?').get(id),
    );
    if (row === undefined) return undefined;
    const { secretHash } = row as Row;
    const token = tokenOf(row as Row);
    const good = timingSafeEqual(hashOf(secret), secretHash);
    const lives = token.revokedAtMs === undefined && nowMs < token.expiresAtMs;
    return good && lives ? token : undefined;
  }

  close(): void {
    this.database.close();
  }
}
