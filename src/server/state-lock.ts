import { join } from 'node:path';
import { EntremiseError } from '../base/errors.ts';
import { openPrivateDatabase } from './sqlite.ts';

/** `database is locked`, of SQLite's result codes. */
const busy = 5;

function isBusy(thrown: unknown): boolean {
  const cause = thrown instanceof EntremiseError ? thrown.cause : undefined;
  return cause instanceof Error && 'errcode' in cause && cause.errcode === busy;
}

/**
 * Keeps a state directory to one server process: two would each believe in their own list of members. The lock is
 * SQLite's own, on a file of its own, so that it is gone with the process however that ends, and nobody who only reads
 * the store is kept out. Gives how to let go.
 * @throws EntremiseError `environment-unfit` when another process holds it or SQLite is missing, `state-unreadable`
 */
export async function lockState(stateDir: string): Promise<() => void> {
  const path = join(stateDir, 'server.lock');
  const exclusive = 'PRAGMA journal_mode = DELETE; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE';
  try {
    const database = await openPrivateDatabase(path, exclusive);
    return () => {
      database.exec('ROLLBACK');
      database.close();
    };
  } catch (thrown) {
    if (!isBusy(thrown)) throw thrown;
    throw new EntremiseError('environment-unfit', {
      message: `Another server is running on ${stateDir}; stop that one first, or choose another --state.`,
      cause: thrown,
    });
  }
}
