import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EntremiseError } from '../base/errors.ts';
import { guarded, openPrivateDatabase } from './sqlite.ts';

/** What is copied as it is; what belongs to one run (locks, inbox) is not. */
const files = ['server.toml', 'server.key', 'server.crt', 'audit.jsonl', 'audit.jsonl.heads', 'features'];
const databases = ['server.sqlite', 'tokens.sqlite'];

/**
 * Copies a server's state to a directory that is not there yet, while the server runs: databases as of one moment each
 * (SQLite's VACUUM INTO). The copy is a state directory: to restore is to run a server on it. Gives what was copied.
 * @throws EntremiseError `bad-usage` when the directory is there, `state-unreadable`, `environment-unfit`
 */
export async function backUp(stateDir: string, target: string): Promise<string[]> {
  if (existsSync(target)) {
    const message = `${target} is there already; a backup goes to a directory of its own.`;
    throw new EntremiseError('bad-usage', { message });
  }
  guarded(target, () => mkdirSync(target, { recursive: true, mode: 0o700 }));
  const copied: string[] = [];
  for (const name of databases.filter(each => existsSync(join(stateDir, each)))) {
    const database = await openPrivateDatabase(join(stateDir, name), 'PRAGMA busy_timeout = 5000');
    try {
      guarded(join(target, name), () => database.prepare('VACUUM INTO ?').run(resolve(target, name)));
    } finally {
      database.close();
    }
    copied.push(name);
  }
  for (const name of files.filter(each => existsSync(join(stateDir, each)))) {
    guarded(join(target, name), () => cpSync(join(stateDir, name), join(target, name), { recursive: true }));
    copied.push(name);
  }
  return copied;
}
