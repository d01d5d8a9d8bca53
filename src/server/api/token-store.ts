import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { EntremiseError } from '../../base/errors.ts';
import { openMigrated } from '../migration.ts';
import { guarded } from '../sqlite.ts';

/**
 * Bearer tokens of the HTTP API (RFC 6750), in a database of their own beside the server's, so that `server token` works
 * while the server runs and a token that is revoked is refused by the next request. Of a secret only its SHA-256 is kept:
 * it is 256 random bits, which no dictionary has.
 */

const steps = [
  // Also what was made before schemas were numbered.
  `CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, secretHash BLOB NOT NULL,
    grantId TEXT, createdAtMs INTEGER NOT NULL, expiresAtMs INTEGER NOT NULL, revokedAtMs INTEGER);`,
  addScopes,
];

/** The last of those without a number had it already. */
function addScopes(database: DatabaseSyncInstance): void {
  const columns = database.prepare('PRAGMA table_info(tokens)').all();
  if (columns.some(column => column.name === 'scopes')) return;
  database.exec(`ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT ''`);
}

/**
 * What a token may do beside what its grant says (RFC 6749 §3.3): search the whole audit; sign grants by the server's delegate
 * key; publish ports and declare standing services, which act under the grants of their own features; make enrolment codes for
 * mediators by that key; set labels of those.
 */
export const tokenScopes = ['audit', 'grants', 'declare', 'enrol', 'labels'] as const;

/** One of {@link tokenScopes}. */
export type TokenScope = (typeof tokenScopes)[number];

/** True for one of {@link tokenScopes}. */
export function isTokenScope(text: string): text is TokenScope {
  return tokenScopes.some(each => each === text);
}

/** A token, without its secret. */
export interface ApiToken {
  readonly id: string;
  /** Whose it is, for people. */
  readonly name: string;
  /** The grant under which it acts; without one it reads figures and nothing else. */
  readonly grantId: string | undefined;
  readonly scopes: readonly TokenScope[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | undefined;
}

/** What is said when a token is made. */
export interface TokenWish {
  readonly name: string;
  readonly grantId: string | undefined;
  readonly scopes?: readonly TokenScope[];
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
  readonly scopes: string;
}

const hashOf = (secret: string) => createHash('sha256').update(secret).digest();

function tokenOf({ id, name, grantId, scopes, createdAtMs, expiresAtMs, revokedAtMs }: Row): ApiToken {
  const [grant, revoked] = [grantId ?? undefined, revokedAtMs ?? undefined];
  const known = scopes.split(' ').filter(isTokenScope);
  return { id, name, grantId: grant, scopes: known, createdAtMs, expiresAtMs, revokedAtMs: revoked };
}

function inForce(token: ApiToken, nowMs: number): ApiToken | undefined {
  return token.revokedAtMs === undefined && nowMs < token.expiresAtMs ? token : undefined;
}

const pathIn = (stateDir: string) => join(stateDir, 'tokens.sqlite');

/** See the head of this file. */
export class TokenStore {
  private readonly path: string;
  private readonly database: DatabaseSyncInstance;

  private constructor(path: string, database: DatabaseSyncInstance) {
    this.path = path;
    this.database = database;
  }

  /**
   * Opens the tokens of a server's state directory; `locked` says that the caller has the state's lock.
   * @throws EntremiseError `environment-unfit`, `state-unreadable`: see {@link openMigrated}
   */
  static async open(stateDir: string, locked = false): Promise<TokenStore> {
    const path = pathIn(stateDir);
    return new TokenStore(path, await openMigrated({ path, stateDir, steps, locked }));
  }

  /** Makes a token; its text is shown once and kept nowhere. */
  create(
    { name, grantId, scopes = [], lifeMs }: TokenWish,
    nowMs: number,
  ): { readonly token: ApiToken; readonly text: string } {
    const id = randomBytes(6).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    const sql = `INSERT INTO tokens (id, name, secretHash, grantId, createdAtMs, expiresAtMs, scopes)
      VALUES (?, ?, ?, ?, ?, ?, ?)`;
    const expiresAtMs = nowMs + lifeMs;
    guarded(this.path, () =>
      this.database
        .prepare(sql)
        .run(id, name, hashOf(secret), grantId ?? null, nowMs, expiresAtMs, scopes.join(' ')),
    );
    const token = { id, name, grantId, scopes, createdAtMs: nowMs, expiresAtMs, revokedAtMs: undefined };
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
    const good = timingSafeEqual(hashOf(secret), secretHash);
    return good ? inForce(tokenOf(row as Row), nowMs) : undefined;
  }

  /** The token with that id, if it is good now. */
  live(id: string, nowMs: number): ApiToken | undefined {
    const row: unknown = guarded(this.path, () =>
      this.database.prepare('SELECT * FROM tokens WHERE id = ?').get(id),
    );
    return row === undefined ? undefined : inForce(tokenOf(row as Row), nowMs);
  }

  close(): void {
    this.database.close();
  }
}
