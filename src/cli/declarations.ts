import { chownSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { systemClock } from '../base/clock.ts';
import { readServerConfig } from '../server/config.ts';
import { DeclarationStore } from '../server/declared/declaration-store.ts';
import { Declarations } from '../server/declared/declarations.ts';
import { type DeclaredStatus, readDeclaredStatus } from '../server/declared/declared-status.ts';
import type { Context } from './context.ts';
import { requireServer } from './delivery.ts';

/** Published ports and standing services from the command line, on the server's machine: over its state, running or not. */

/** Says who declared what comes from here. */
export const byCli = 'cli';

/** How long a running server may take to say how something stands. */
const answerWaitMs = 5_000;
const lookEveryMs = 50;

/** What root makes there must be the server's own: it runs as another user. */
function giveToServer(stateDir: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(stateDir);
  for (const name of ['declarations.sqlite', 'declarations.sqlite-wal', 'declarations.sqlite-shm']) {
    const path = join(stateDir, name);
    if (existsSync(path)) chownSync(path, uid, gid);
  }
}

/**
 * Opens what is declared on a server, for `use`.
 * @throws EntremiseError `bad-usage` where there is no server, `bad-config`, `state-unreadable`, `environment-unfit`
 */
export async function withDeclarations<T>(
  { log }: Context,
  stateDir: string,
  use: (declarations: Declarations) => T,
): Promise<T> {
  requireServer(stateDir);
  const file = readServerConfig(stateDir);
  const store = await DeclarationStore.open(stateDir);
  try {
    const declarations = new Declarations({ store, file, clock: systemClock, log });
    giveToServer(stateDir);
    try {
      return use(declarations);
    } finally {
      declarations.close();
    }
  } finally {
    store.close();
  }
}

/** How things stand now; undefined while no server runs on that state. @throws EntremiseError `state-unreadable` */
export function statusNow(stateDir: string): DeclaredStatus | undefined {
  return readDeclaredStatus(stateDir, systemClock.wallTimeMs());
}

/**
 * Waits until the running server tells what `find` finds; undefined where none runs, or says so in time.
 * @throws EntremiseError `state-unreadable`
 */
export async function untilTold<T>(
  stateDir: string,
  find: (status: DeclaredStatus) => T | undefined,
): Promise<T | undefined> {
  for (const endMs = Date.now() + answerWaitMs; Date.now() < endMs; ) {
    const status = statusNow(stateDir);
    if (status === undefined) return undefined;
    const found = find(status);
    if (found !== undefined) return found;
    await new Promise(resolve => setTimeout(resolve, lookEveryMs));
  }
  return undefined;
}
