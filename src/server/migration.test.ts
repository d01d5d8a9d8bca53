import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TokenStore } from './api/token-store.ts';
import { beforeMigration, openMigrated } from './migration.ts';
import { openPrivateDatabase } from './sqlite.ts';
import { lockState } from './state-lock.ts';
import { Store } from './store.ts';
import {
  storeOfSchema1,
  tokensOfSchema1,
  unnumberedStore,
  unnumberedTokens,
  unnumberedTokensWithScopes,
} from './testing/old-stores.ts';

interface Place {
  readonly stateDir: string;
  readonly path: string;
}

/** A state directory with a database that some version has made. */
async function placeWith(t: ExecutionContext, sql: string, name = 'server.sqlite'): Promise<Place> {
  const stateDir = mkdtempSync(join(tmpdir(), 'entremise-migration-'));
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }));
  const path = join(stateDir, name);
  (await openPrivateDatabase(path, `PRAGMA journal_mode = WAL; ${sql}`)).close();
  return { stateDir, path };
}

async function ask(path: string, sql: string): Promise<unknown> {
  const database = await openPrivateDatabase(path, '');
  const row: unknown = database.prepare(sql).get();
  database.close();
  return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined;
}

for (const [version, sql] of [unnumberedStore, storeOfSchema1].entries())
  test(`a store of schema ${version} has all that it had, and what it was is kept beside it`, async t => {
    const { stateDir, path } = await placeWith(t, sql);
    const copy = beforeMigration(path, version);
    // An attempt before was cut off.
    writeFileSync(`${copy}.unfinished`, 'half');
    for (const _start of ['first', 'second']) {
      const store = await Store.open(stateDir);
      t.is(store.trust(), 'a trust statement');
      t.deepEqual(store.members(), ['a member']);
      t.deepEqual(store.invitation('invitation'), { text: 'text', usedBy: 'key' });
      t.deepEqual(store.grants(0), ['a grant']);
      t.deepEqual(store.mediator('key'), { report: new Uint8Array([1]), lastSeenMs: 7 });
      t.deepEqual(store.trustSteps(), []);
      t.deepEqual(store.deniedGrants(0), []);
      store.close();
    }
    t.is(await ask(path, 'PRAGMA user_version'), 3);
    t.is(statSync(copy).mode & 0o777, 0o600);
    t.false(existsSync(`${copy}.unfinished`));
    t.is(await ask(copy, 'PRAGMA user_version'), version);
    t.is(await ask(copy, 'SELECT text FROM trust'), 'a trust statement');
  });

const tokenRows = [
  ['without a number', unnumberedTokens, 0, []],
  ['without a number, with scopes', unnumberedTokensWithScopes, 0, ['audit']],
  ['of schema 1', tokensOfSchema1, 1, []],
] as const;

for (const [what, sql, version, scopes] of tokenRows)
  test(`tokens ${what} are good after it`, async t => {
    const { stateDir, path } = await placeWith(t, sql, 'tokens.sqlite');
    (await TokenStore.open(stateDir, true)).close();
    t.is(await ask(path, 'PRAGMA user_version'), 2);
    const tokens = await TokenStore.open(stateDir);
    t.like(tokens.list()[0], { id: '0123456789ab', name: 'helpdesk', grantId: 'grant', expiresAtMs: 2000 });
    t.deepEqual(tokens.list()[0]?.scopes, [...scopes]);
    tokens.close();
    t.true(existsSync(beforeMigration(path, version)));
  });

test('a store of a newer version is refused with what to do, and not touched', async t => {
  const { stateDir, path } = await placeWith(t, `${unnumberedStore} PRAGMA user_version = 99;`);
  const before = readFileSync(path);
  const refusal = { code: 'state-unreadable', message: /newer entremise \(schema 99; this one knows 3\)/ };
  await t.throwsAsync(Store.open(stateDir), refusal);
  t.deepEqual(readFileSync(path), before);
  t.false(existsSync(beforeMigration(path, 99)));
});

test('of steps of which one fails, none counts', async t => {
  const { stateDir, path } = await placeWith(t, unnumberedStore);
  const steps = ['CREATE TABLE one (id)', 'DELETE FROM trust', 'nonsense'];
  await t.throwsAsync(openMigrated({ path, stateDir, steps }), { code: 'state-unreadable' });
  t.is(await ask(path, 'PRAGMA user_version'), 0);
  t.is(await ask(path, 'SELECT text FROM trust'), 'a trust statement');
  t.is(await ask(path, `SELECT count(*) FROM sqlite_master WHERE name = 'one'`), 0);
  const store = await Store.open(stateDir);
  t.is(store.trust(), 'a trust statement');
  store.close();
});

test('while a server runs nobody else brings its state forward; a database that is new is made all the same', async t => {
  const { stateDir, path } = await placeWith(t, unnumberedStore);
  const release = await lockState(stateDir);
  await t.throwsAsync(Store.open(stateDir), { code: 'environment-unfit', message: /start the server anew/ });
  t.is(await ask(path, 'PRAGMA user_version'), 0);
  (await TokenStore.open(stateDir)).close();
  (await Store.open(stateDir, true)).close();
  (await Store.open(stateDir)).close();
  release();
});

test('a store that cannot be copied is not brought forward', async t => {
  const { stateDir, path } = await placeWith(t, unnumberedStore);
  mkdirSync(join(beforeMigration(path, 0), 'in the way'), { recursive: true });
  await t.throwsAsync(Store.open(stateDir), { code: 'state-unreadable' });
  t.is(await ask(path, 'PRAGMA user_version'), 0);
});
