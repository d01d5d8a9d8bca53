import { join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { EntremiseError } from '../base/errors.ts';
import { ensurePrivateDirectory } from '../base/state-file.ts';

/**
 * What the server keeps (P6.9): documents as texts, which invitations were used, last REPORT and last seen. Never a
 * private key, a secret or anything of a stream. Documents are verified anew when they are read.
 */

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS trust (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS members (key TEXT PRIMARY KEY, text TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS invitations (key TEXT PRIMARY KEY, text TEXT NOT NULL, usedBy TEXT, usedAtMs INTEGER);
  CREATE TABLE IF NOT EXISTS grants (id TEXT PRIMARY KEY, text TEXT NOT NULL, expiresAtMs INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS mediators (key TEXT PRIMARY KEY, report BLOB, lastSeenMs INTEGER NOT NULL);
`;

/** An invitation as kept. */
export interface StoredInvitation {
  readonly text: string;
  /** Text of the key that enrolled with it. */
  readonly usedBy: string | undefined;
}

/** What is kept of a mediator's life. */
export interface StoredMediator {
  readonly report: Uint8Array | undefined;
  readonly lastSeenMs: number;
}

async function openDatabase(path: string): Promise<DatabaseSyncInstance> {
  let sqlite: typeof import('@photostructure/sqlite');
  try {
    sqlite = await import('@photostructure/sqlite');
  } catch (cause) {
    throw new EntremiseError('environment-unfit', {
      message:
        'The server keeps its state in SQLite, whose package is not installed: npm install @photostructure/sqlite.',
      cause,
    });
  }
  try {
    return new sqlite.DatabaseSync(path);
  } catch (cause) {
    throw new EntremiseError('state-unreadable', {
      message: `Cannot open ${path}; check its owner and the disk.`,
      cause,
    });
  }
}

/** See the head of this file. */
export class Store {
  private readonly database: DatabaseSyncInstance;

  private constructor(database: DatabaseSyncInstance) {
    this.database = database;
    database.exec(schema);
  }

  /**
   * Opens the store of a state directory, made when it is not there.
   * @throws EntremiseError `environment-unfit` without SQLite, `state-unreadable`
   */
  static async open(stateDir: string): Promise<Store> {
    ensurePrivateDirectory(stateDir);
    return new Store(await openDatabase(join(stateDir, 'server.sqlite')));
  }

  private texts(sql: string): string[] {
    return this.database
      .prepare(sql)
      .all()
      .map(row => String((row as { text: unknown }).text));
  }

  /** The trust statement, if one was accepted. */
  trust(): string | undefined {
    return this.texts('SELECT text FROM trust')[0];
  }

  saveTrust(text: string): void {
    this.database.prepare('INSERT OR REPLACE INTO trust (id, text) VALUES (1, ?)').run(text);
  }

  /** All member statements. */
  members(): string[] {
    return this.texts('SELECT text FROM members');
  }

  saveMember(key: string, text: string): void {
    this.database.prepare('INSERT OR REPLACE INTO members (key, text) VALUES (?, ?)').run(key, text);
  }

  invitation(key: string): StoredInvitation | undefined {
    const row = this.database.prepare('SELECT text, usedBy FROM invitations WHERE key = ?').get(key);
    if (row === undefined) return undefined;
    const { text, usedBy } = row as { text: string; usedBy: string | null };
    return { text, usedBy: usedBy ?? undefined };
  }

  saveInvitation(key: string, text: string): void {
    this.database.prepare('INSERT OR IGNORE INTO invitations (key, text) VALUES (?, ?)').run(key, text);
  }

  /** In one transaction, so that a code is never used up without its member, nor used twice. */
  enrol(invitationKey: string, memberKey: string, text: string, nowMs: number): void {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      const use = this.database.prepare('UPDATE invitations SET usedBy = ?, usedAtMs = ? WHERE key = ?');
      use.run(memberKey, nowMs, invitationKey);
      this.saveMember(memberKey, text);
      this.database.exec('COMMIT');
    } catch (thrown) {
      this.database.exec('ROLLBACK');
      throw thrown;
    }
  }

  /** Grants that have not expired at `nowMs`; the others are forgotten. */
  grants(nowMs: number): string[] {
    this.database.prepare('DELETE FROM grants WHERE expiresAtMs < ?').run(nowMs - 24 * 3_600_000);
    return this.texts('SELECT text FROM grants');
  }

  saveGrant(id: string, text: string, expiresAtMs: number): void {
    const insert = this.database.prepare(
      'INSERT OR REPLACE INTO grants (id, text, expiresAtMs) VALUES (?, ?, ?)',
    );
    insert.run(id, text, expiresAtMs);
  }

  mediator(key: string): StoredMediator | undefined {
    const row = this.database.prepare('SELECT report, lastSeenMs FROM mediators WHERE key = ?').get(key);
    if (row === undefined) return undefined;
    const { report, lastSeenMs } = row as { report: Uint8Array | null; lastSeenMs: number };
    return { report: report ?? undefined, lastSeenMs };
  }

  saveReport(key: string, report: Uint8Array, nowMs: number): void {
    const sql = `INSERT INTO mediators (key, report, lastSeenMs) VALUES (?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET report = excluded.report, lastSeenMs = excluded.lastSeenMs`;
    this.database.prepare(sql).run(key, report, nowMs);
  }

  saveSeen(key: string, nowMs: number): void {
    const sql = `INSERT INTO mediators (key, lastSeenMs) VALUES (?, ?)
      ON CONFLICT (key) DO UPDATE SET lastSeenMs = excluded.lastSeenMs`;
    this.database.prepare(sql).run(key, nowMs);
  }

  close(): void {
    this.database.close();
  }
}
