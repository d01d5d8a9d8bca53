import { closeSync, fstatSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { EntremiseError } from '../base/errors.ts';
import { ensurePrivateDirectory } from '../base/state-file.ts';

/** The one place that loads SQLite, opens its files, and turns what it says into sentences that help. */

type Sqlite = typeof import('@photostructure/sqlite');

async function loadSqlite(): Promise<Sqlite> {
  try {
    return await import('@photostructure/sqlite');
  } catch (cause) {
    throw new EntremiseError('environment-unfit', {
      message:
        'The server keeps its state in SQLite, whose package is not installed: npm install @photostructure/sqlite.',
      cause,
    });
  }
}

/**
 * The file is made before SQLite would make it with whatever the umask says. What stands in it is believed, so nobody
 * else may write there.
 */
function ensurePrivateDatabase(path: string): void {
  const fd = openSync(path, 'a', 0o600);
  try {
    if ((fstatSync(fd).mode & 0o022) === 0) return;
  } finally {
    closeSync(fd);
  }
  throw new EntremiseError('state-unreadable', {
    message: `${path} can be written by others, who could so make themselves the operator. Run: chmod 600 ${path}, after you have made sure that nobody did.`,
  });
}

/**
 * What SQLite or the file system says about `path` becomes an error that says which file and what to do.
 * @throws EntremiseError `state-unreadable`
 */
export function guarded<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (cause instanceof EntremiseError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `${path} cannot be used (${reason}): check its owner and the disk, or put a backup in its place.`;
    throw new EntremiseError('state-unreadable', { message, cause });
  }
}

/**
 * Opens a database that only its owner can read, made with what is missing above it when it is not there, and runs
 * `setUp` in it.
 * @throws EntremiseError `environment-unfit` without SQLite, `state-unreadable`
 */
export async function openPrivateDatabase(path: string, setUp: string): Promise<DatabaseSyncInstance> {
  const sqlite = await loadSqlite();
  ensurePrivateDirectory(dirname(path));
  return guarded(path, () => {
    ensurePrivateDatabase(path);
    const database = new sqlite.DatabaseSync(path);
    try {
      database.exec(setUp);
      return database;
    } catch (thrown) {
      database.close();
      throw thrown;
    }
  });
}
