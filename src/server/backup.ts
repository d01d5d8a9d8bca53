import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EntremiseError } from '../base/errors.ts';
import { makeDirectory } from '../base/make-directory.ts';
import { readServerConfig } from './config.ts';
import { guarded, openPrivateDatabase } from './sqlite.ts';
import { readKeyAndCertificate } from './tls-keys.ts';

/** What is copied as it is; what belongs to one run (locks, inbox) is not. */
const files = [
  'server.toml',
  'server.key',
  'server.crt',
  'next.key',
  'next.crt',
  'audit.jsonl',
  'audit.jsonl.heads',
  'features',
];
const databases = ['server.sqlite', 'tokens.sqlite', 'issued.sqlite', 'declarations.sqlite'];

function isFree(directory: string): boolean {
  return guarded(directory, () => !existsSync(directory) || readdirSync(directory).length === 0);
}

/**
 * Copies a server's state to a directory that is empty or not there yet, while the server runs: databases as of one moment
 * each (SQLite's VACUUM INTO). The copy is a state directory like the one it was made of. Gives what was copied.
 * @throws EntremiseError `bad-usage` when something is in the directory, `state-unreadable`, `environment-unfit`
 */
export async function backUp(stateDir: string, target: string): Promise<string[]> {
  if (!isFree(target)) {
    const message = `There is something in ${target} already; a backup goes to a directory of its own.`;
    throw new EntremiseError('bad-usage', { message });
  }
  guarded(target, () => makeDirectory(target));
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

/** What SQLite itself finds wrong with a database, if anything (PRAGMA integrity_check). */
async function refuseDamaged(path: string): Promise<void> {
  const database = await openPrivateDatabase(path, '');
  try {
    const row: unknown = guarded(path, () => database.prepare('PRAGMA integrity_check').get());
    const found = typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
    if (found === 'ok') return;
    const message = `${path} is damaged (${String(found)}): take another backup.`;
    throw new EntremiseError('state-unreadable', { message });
  } finally {
    database.close();
  }
}

/**
 * Makes a server's state of a backup, in a directory that is empty or not there yet, after it was looked at: configuration,
 * keys that belong together, databases that are whole. The backup stays as it is. Gives what was copied.
 * @throws EntremiseError `bad-usage` when there is something in the way, `bad-config`, `state-unreadable`, `environment-unfit`
 */
export async function restore(backup: string, stateDir: string): Promise<string[]> {
  if (!isFree(stateDir)) {
    const message = `There is something in ${stateDir}; move it away first, nothing is overwritten.`;
    throw new EntremiseError('bad-usage', { message });
  }
  readServerConfig(backup);
  readKeyAndCertificate(backup);
  for (const name of databases.filter(each => existsSync(join(backup, each))))
    await refuseDamaged(join(backup, name));
  return backUp(backup, stateDir);
}
