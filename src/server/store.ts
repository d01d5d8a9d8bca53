import { join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { EntremiseError } from '../base/errors.ts';
import { openMigrated } from './migration.ts';
import { guarded } from './sqlite.ts';

/**
 * What the server keeps (P6.9): documents as texts, which invitations were used, last REPORT and last seen. Never a
 * private key, a secret or anything of a stream. Documents are verified anew when they are read.
 */

const steps = [
  // Also what was made before schemas were numbered.
  `CREATE TABLE IF NOT EXISTS trust (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL);
   CREATE TABLE IF NOT EXISTS members (key TEXT PRIMARY KEY, text TEXT NOT NULL);
   CREATE TABLE IF NOT EXISTS invitations (key TEXT PRIMARY KEY, text TEXT NOT NULL, usedBy TEXT, usedAtMs INTEGER);
   CREATE TABLE IF NOT EXISTS grants (id TEXT PRIMARY KEY, text TEXT NOT NULL, expiresAtMs INTEGER NOT NULL);
   CREATE TABLE IF NOT EXISTS mediators (key TEXT PRIMARY KEY, report BLOB, lastSeenMs INTEGER NOT NULL);`,
  'CREATE TABLE trustSteps (seq INTEGER PRIMARY KEY, text TEXT NOT NULL, acceptedAtMs INTEGER NOT NULL);',
  'CREATE TABLE deniedGrants (id TEXT PRIMARY KEY, expiresAtMs INTEGER NOT NULL);',
];

/** An invitation as kept. */
export interface StoredInvitation {
  readonly text: string;
  /** Text of the key that enrolled with it. */
  readonly usedBy: string | undefined;
}

/** A trust statement that named other keys or pins than the one before, as kept. */
export interface TrustStep {
  readonly seq: number;
  readonly text: string;
  /** When it came to the server, milliseconds since 1970. */
  readonly acceptedAtMs: number;
}

/** What is kept of a mediator's life. */
export interface StoredMediator {
  readonly report: Uint8Array | undefined;
  readonly lastSeenMs: number;
}

type Statement = ReturnType<DatabaseSyncInstance['prepare']>;

/** See the head of this file. */
export class Store {
  private readonly path: string;
  private readonly database: DatabaseSyncInstance;
  private readonly statements = new Map<string, Statement>();

  private constructor(path: string, database: DatabaseSyncInstance) {
    this.path = path;
    this.database = database;
  }

  /**
   * Opens the store of a state directory, made when it is not there; `locked` says that the caller has the state's lock.
   * @throws EntremiseError `environment-unfit`, `state-unreadable`: see {@link openMigrated}
   */
  static async open(stateDir: string, locked = false): Promise<Store> {
    const path = join(stateDir, 'server.sqlite');
    return new Store(path, await openMigrated({ path, stateDir, steps, locked }));
  }

  /** Prepared once: for a short one that costs more than running it. */
  private statement(sql: string): Statement {
    const known = this.statements.get(sql) ?? this.database.prepare(sql);
    this.statements.set(sql, known);
    return known;
  }

  private texts(sql: string): string[] {
    return guarded(this.path, () =>
      this.statement(sql)
        .all()
        .map(row => String((row as { text: unknown }).text)),
    );
  }

  private row(sql: string, key: string): unknown {
    return guarded(this.path, () => this.statement(sql).get(key));
  }

  /** Gives how many rows it was about. */
  private run(sql: string, ...values: (string | number | Uint8Array | null)[]): number {
    return guarded(this.path, () => Number(this.statement(sql).run(...values).changes));
  }

  /** All of it happens or nothing. */
  private together<T>(change: () => T): T {
    guarded(this.path, () => this.database.exec('BEGIN IMMEDIATE'));
    try {
      const result = change();
      guarded(this.path, () => this.database.exec('COMMIT'));
      return result;
    } catch (thrown) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw thrown;
    }
  }

  /** The trust statement, if one was accepted. */
  trust(): string | undefined {
    return this.texts('SELECT text FROM trust')[0];
  }

  /** Keeps the statement in force; `step` when it names other keys or pins than the one before. */
  saveTrust(text: string, step?: { readonly seq: number; readonly nowMs: number }): void {
    this.together(() => {
      this.run('INSERT OR REPLACE INTO trust (id, text) VALUES (1, ?)', text);
      if (step === undefined) return;
      const sql = 'INSERT OR REPLACE INTO trustSteps (seq, text, acceptedAtMs) VALUES (?, ?, ?)';
      this.run(sql, step.seq, text, step.nowMs);
    });
  }

  /** The way by which keys and pins came to be what they are, the oldest step first. */
  trustSteps(): TrustStep[] {
    return guarded(this.path, () =>
      this.database
        .prepare('SELECT seq, text, acceptedAtMs FROM trustSteps ORDER BY seq')
        .all()
        .map(row => row as unknown as TrustStep),
    );
  }

  /** All member statements. */
  members(): string[] {
    return this.texts('SELECT text FROM members');
  }

  /** Keeps a statement, and forgets that of the key whose name it takes over. */
  saveMember(key: string, text: string, displacedKey?: string): void {
    this.together(() => this.putMember(key, text, displacedKey));
  }

  private putMember(key: string, text: string, displacedKey: string | undefined): void {
    if (displacedKey !== undefined) this.run('DELETE FROM members WHERE key = ?', displacedKey);
    this.run('INSERT OR REPLACE INTO members (key, text) VALUES (?, ?)', key, text);
  }

  /** Forgets the statements of these keys. */
  forgetMembers(keys: readonly string[]): void {
    if (keys.length === 0) return;
    this.together(() => {
      for (const key of keys) this.run('DELETE FROM members WHERE key = ?', key);
    });
  }

  invitation(key: string): StoredInvitation | undefined {
    const row = this.row('SELECT text, usedBy FROM invitations WHERE key = ?', key);
    if (row === undefined) return undefined;
    const { text, usedBy } = row as { text: string; usedBy: string | null };
    return { text, usedBy: usedBy ?? undefined };
  }

  /** The keys of the invitations that a key has used. */
  invitationsUsedBy(memberKey: string): string[] {
    return guarded(this.path, () =>
      this.statement('SELECT key FROM invitations WHERE usedBy = ?')
        .all(memberKey)
        .map(row => String((row as { key: unknown }).key)),
    );
  }

  saveInvitation(key: string, text: string): void {
    this.run('INSERT OR IGNORE INTO invitations (key, text) VALUES (?, ?)', key, text);
  }

  /** Forgets an invitation, unless a key has used it. */
  forgetInvitation(key: string): void {
    this.run('DELETE FROM invitations WHERE key = ? AND usedBy IS NULL', key);
  }

  /**
   * In one transaction, so that a code is never used up without its member, nor used twice.
   * @throws EntremiseError `code-used`
   */
  enrol(invitationKey: string, memberKey: string, text: string, nowMs: number, displacedKey?: string): void {
    const use = `UPDATE invitations SET usedBy = ?, usedAtMs = ?
      WHERE key = ? AND (usedBy IS NULL OR usedBy = ?)`;
    this.together(() => {
      if (this.run(use, memberKey, nowMs, invitationKey, memberKey) !== 1)
        throw new EntremiseError('code-used');
      this.putMember(memberKey, text, displacedKey);
    });
  }

  /** Grants; those that expired more than a day before `nowMs` are forgotten. */
  grants(nowMs: number): string[] {
    this.run('DELETE FROM grants WHERE expiresAtMs < ?', nowMs - 24 * 3_600_000);
    return this.texts('SELECT text FROM grants');
  }

  saveGrant(id: string, text: string, expiresAtMs: number): void {
    const sql = 'INSERT OR REPLACE INTO grants (id, text, expiresAtMs) VALUES (?, ?, ?)';
    this.run(sql, id, text, expiresAtMs);
  }

  /** The server takes the grant with that id no more. */
  denyGrant(id: string, expiresAtMs: number): void {
    this.run('INSERT OR REPLACE INTO deniedGrants (id, expiresAtMs) VALUES (?, ?)', id, expiresAtMs);
  }

  /** Ids of those; what expired more than a day before `nowMs` is forgotten. */
  deniedGrants(nowMs: number): string[] {
    this.run('DELETE FROM deniedGrants WHERE expiresAtMs < ?', nowMs - 24 * 3_600_000);
    return this.texts('SELECT id AS text FROM deniedGrants');
  }

  mediator(key: string): StoredMediator | undefined {
    const row = this.row('SELECT report, lastSeenMs FROM mediators WHERE key = ?', key);
    if (row === undefined) return undefined;
    const { report, lastSeenMs } = row as { report: Uint8Array | null; lastSeenMs: number };
    return { report: report ?? undefined, lastSeenMs };
  }

  /** These members are connected now. */
  saveAllSeen(keys: Iterable<string>, nowMs: number): void {
    const heard = { report: undefined, lastSeenMs: nowMs };
    this.saveMediators(new Map([...keys].map(key => [key, heard])));
  }

  /** Keeps what was heard of these mediators; who has not reported keeps the report of before. */
  saveMediators(heard: ReadonlyMap<string, StoredMediator>): void {
    const sql = `INSERT INTO mediators (key, report, lastSeenMs) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
      SET report = coalesce(excluded.report, report), lastSeenMs = excluded.lastSeenMs`;
    this.together(() => {
      for (const [key, { report = null, lastSeenMs }] of heard) this.run(sql, key, report, lastSeenMs);
    });
  }

  close(): void {
    this.database.close();
  }
}
