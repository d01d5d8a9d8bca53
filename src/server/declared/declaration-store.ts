import { join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { EntremiseError } from '../../base/errors.ts';
import { openMigrated } from '../migration.ts';
import { guarded } from '../sqlite.ts';

/**
 * Published ports and standing services that were declared while the server runs, or may run, in a database of their own
 * beside the server's: the CLI writes it on the server's machine, the API in its process, and the server sees both within
 * half a second. What server.toml declares is not in it.
 */

const steps = [
  `CREATE TABLE declarations (kind TEXT NOT NULL, id TEXT NOT NULL, spec TEXT NOT NULL, declaredBy TEXT NOT NULL,
    createdAtMs INTEGER NOT NULL, expiresAtMs INTEGER, PRIMARY KEY (kind, id));`,
];

/** What is declared. */
export type DeclarationKind = 'publication' | 'service';

/** A declaration as it is kept. */
export interface StoredDeclaration {
  /** Unique among those of its kind. */
  readonly id: string;
  /** In the words of server.toml, as JSON. */
  readonly spec: string;
  /** `cli`, or `token` and the id of the API's. */
  readonly declaredBy: string;
  readonly createdAtMs: number;
  /** From then on it is gone; undefined: it stays. */
  readonly expiresAtMs: number | undefined;
}

interface Row extends Omit<StoredDeclaration, 'expiresAtMs'> {
  readonly expiresAtMs: number | null;
}

/** See the head of this file. */
export class DeclarationStore {
  private readonly path: string;
  private readonly database: DatabaseSyncInstance;
  private version: number;

  private constructor(path: string, database: DatabaseSyncInstance) {
    this.path = path;
    this.database = database;
    this.version = this.versionNow();
  }

  /**
   * Opens the declarations of a server's state directory. `locked`: the caller has that for himself.
   * @throws EntremiseError `environment-unfit` without SQLite, or with a schema that a server in its way has to bring
   * forward first; `state-unreadable`
   */
  static async open(stateDir: string, locked = false): Promise<DeclarationStore> {
    const path = join(stateDir, 'declarations.sqlite');
    return new DeclarationStore(path, await openMigrated({ path, stateDir, steps, locked }));
  }

  private run(sql: string, ...values: (string | number | null)[]): number {
    return guarded(this.path, () => Number(this.database.prepare(sql).run(...values).changes));
  }

  /** Rises with what other connections write; what this one writes is not seen in it. */
  private versionNow(): number {
    const row: unknown = guarded(this.path, () => this.database.prepare('PRAGMA data_version').get());
    return (row as { data_version: number }).data_version;
  }

  /** True once after another process has written something. @throws EntremiseError `state-unreadable` */
  changedByOthers(): boolean {
    const before = this.version;
    this.version = this.versionNow();
    return this.version !== before;
  }

  /** All of a kind that hold at that time, the oldest first. @throws EntremiseError `state-unreadable` */
  all(kind: DeclarationKind, nowMs: number): StoredDeclaration[] {
    const sql = `SELECT id, spec, declaredBy, createdAtMs, expiresAtMs FROM declarations
      WHERE kind = ? AND (expiresAtMs IS NULL OR expiresAtMs > ?) ORDER BY createdAtMs, id`;
    const rows = guarded(this.path, () => this.database.prepare(sql).all(kind, nowMs)) as unknown as Row[];
    return rows.map(row => ({ ...row, expiresAtMs: row.expiresAtMs ?? undefined }));
  }

  /**
   * Keeps one that is not there yet.
   * @throws EntremiseError `wrong-state` when there is one with that id, `state-unreadable`
   */
  add(kind: DeclarationKind, { id, spec, declaredBy, createdAtMs, expiresAtMs }: StoredDeclaration): void {
    this.removeExpired(createdAtMs);
    const sql = 'INSERT OR IGNORE INTO declarations VALUES (?, ?, ?, ?, ?, ?)';
    if (this.run(sql, kind, id, spec, declaredBy, createdAtMs, expiresAtMs ?? null) === 1) return;
    throw new EntremiseError('wrong-state', {
      message: `There is a ${kind} ${id} already; remove it first.`,
      by: 'server',
    });
  }

  /** Keeps one, in the place of one with that id. @throws EntremiseError `state-unreadable` */
  put(kind: DeclarationKind, { id, spec, declaredBy, createdAtMs, expiresAtMs }: StoredDeclaration): void {
    const sql = 'INSERT OR REPLACE INTO declarations VALUES (?, ?, ?, ?, ?, ?)';
    this.run(sql, kind, id, spec, declaredBy, createdAtMs, expiresAtMs ?? null);
  }

  /** Forgets one; false when there is none. @throws EntremiseError `state-unreadable` */
  remove(kind: DeclarationKind, id: string): boolean {
    return this.run('DELETE FROM declarations WHERE kind = ? AND id = ?', kind, id) === 1;
  }

  /** Forgets those whose time is over. @throws EntremiseError `state-unreadable` */
  removeExpired(nowMs: number): void {
    this.run('DELETE FROM declarations WHERE expiresAtMs <= ?', nowMs);
  }

  close(): void {
    this.database.close();
  }
}
