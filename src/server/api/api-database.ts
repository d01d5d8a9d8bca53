import { join } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { openMigrated } from '../migration.ts';

/** The database of what the API has made, beside the server's: grants and codes that it has signed, and its jobs. */

const steps = [
  `CREATE TABLE issuedGrants (id TEXT PRIMARY KEY, tokenId TEXT NOT NULL, text TEXT NOT NULL,
    expiresAtMs INTEGER NOT NULL, revokedAtMs INTEGER);`,
  `CREATE TABLE jobs (id TEXT PRIMARY KEY, tokenId TEXT NOT NULL, wish TEXT NOT NULL, createdAtMs INTEGER NOT NULL,
    state TEXT NOT NULL);
   CREATE TABLE jobResults (job TEXT NOT NULL, number INTEGER NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (job, number)) WITHOUT ROWID;`,
  `CREATE TABLE issuedCodes (id TEXT PRIMARY KEY, tokenId TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL,
    expiresAtMs INTEGER NOT NULL, cancelledAtMs INTEGER, usedBy TEXT);`,
  'ALTER TABLE issuedCodes ADD COLUMN operatorHash TEXT;',
];

/** An open database, and where it is. */
export interface ApiDatabase {
  readonly path: string;
  readonly database: DatabaseSyncInstance;
}

/**
 * Opens that of a server's state directory, whose lock the caller has.
 * @throws EntremiseError `environment-unfit`, `state-unreadable`
 */
export async function openApiDatabase(stateDir: string): Promise<ApiDatabase> {
  const path = join(stateDir, 'issued.sqlite');
  return { path, database: await openMigrated({ path, stateDir, steps, locked: true }) };
}
