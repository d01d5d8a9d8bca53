import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { EntremiseError } from '../base/errors.ts';
import { guarded, openPrivateDatabase } from './sqlite.ts';
import { lockState } from './state-lock.ts';

/**
 * Databases carry the version of their schema (SQLite's `user_version`). An older one is brought forward when it is opened,
 * all steps or none, and what it was is kept beside it; a newer one is left alone. Only whoever has the state directory for
 * himself does that: a server that runs must not find other tables than it knows.
 */

/** How a schema came about: step `n` leads from version `n` to `n + 1`. Steps are added, never changed. */
export type SchemaSteps = readonly (string | ((database: DatabaseSyncInstance) => void))[];

/** Where a database is and what it is to be. */
export interface MigratedDatabase {
  readonly path: string;
  /** The state directory that it belongs to. */
  readonly stateDir: string;
  readonly steps: SchemaSteps;
  /** The caller has the state's lock already. */
  readonly locked?: boolean;
}

// The wait comes first: the change to WAL may have to wait as well.
const settings = 'PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;';

function numberOf(database: DatabaseSyncInstance, sql: string): number {
  const row: unknown = database.prepare(sql).get();
  return typeof row === 'object' && row !== null ? Number(Object.values(row)[0]) : 0;
}

const versionOf = (database: DatabaseSyncInstance) => numberOf(database, 'PRAGMA user_version');

/** Where what a database was before its schema went on from that version is kept. */
export function beforeMigration(path: string, version: number): string {
  return `${path}.schema-${version}`;
}

function refuseNewer(path: string, version: number, known: number): void {
  if (version <= known) return;
  throw new EntremiseError('state-unreadable', {
    message: `${path} was written by a newer entremise (schema ${version}; this one knows ${known}): run that one, or put a backup made by this one in its place.`,
  });
}

/** The copy has its name only when it is whole. */
function keepCopy(database: DatabaseSyncInstance, path: string, version: number): void {
  const copy = beforeMigration(path, version);
  const unfinished = `${copy}.unfinished`;
  rmSync(unfinished, { force: true });
  closeSync(openSync(unfinished, 'wx', 0o600));
  database.prepare('VACUUM INTO ?').run(resolve(unfinished));
  renameSync(unfinished, copy);
}

const isEmpty = (database: DatabaseSyncInstance) =>
  numberOf(database, 'SELECT count(*) FROM sqlite_master') === 0;

function migrate(database: DatabaseSyncInstance, { path, steps }: MigratedDatabase): void {
  const before = versionOf(database);
  if (!isEmpty(database) && before < steps.length) keepCopy(database, path, before);
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const step of steps.slice(versionOf(database))) {
      if (typeof step === 'string') database.exec(step);
      else step(database);
    }
    database.exec(`PRAGMA user_version = ${steps.length}; COMMIT`);
  } catch (thrown) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw thrown;
  }
}

/** @throws EntremiseError `environment-unfit` while a server runs on this state */
async function lockForMigration({ stateDir, path, locked }: MigratedDatabase): Promise<() => void> {
  if (locked === true) return () => {};
  try {
    return await lockState(stateDir);
  } catch (cause) {
    if (!(cause instanceof EntremiseError) || cause.code !== 'environment-unfit') throw cause;
    const message = `${path} is of an older entremise, and so is the server that runs on it: start the server anew first.`;
    throw new EntremiseError('environment-unfit', { message, cause });
  }
}

/**
 * Opens a database, made or brought forward if need be.
 * @throws EntremiseError `state-unreadable`, also when it is of a newer version; `environment-unfit` without SQLite, or when it
 * has to be brought forward while a server runs
 */
export async function openMigrated(wanted: MigratedDatabase): Promise<DatabaseSyncInstance> {
  const { path, steps } = wanted;
  const database = await openPrivateDatabase(path, settings);
  try {
    const version = guarded(path, () => versionOf(database));
    refuseNewer(path, version, steps.length);
    if (version === steps.length) return database;
    const unlock = isEmpty(database) ? () => {} : await lockForMigration(wanted);
    try {
      guarded(path, () => migrate(database, wanted));
    } finally {
      unlock();
    }
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}
