import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { lockState } from './state-lock.ts';
import { Store } from './store.ts';

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-store-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'state');
}

async function opened(t: ExecutionContext, stateDir: string): Promise<Store> {
  const store = await Store.open(stateDir);
  t.teardown(() => store.close());
  return store;
}

test('P6.9: everything kept outlives the process: trust, members, used invitations, grants, reports, last seen', async t => {
  const stateDir = scratch(t);
  const first = await Store.open(stateDir);
  first.saveTrust('trust 1');
  first.saveTrust('trust 2');
  first.saveMember('key', 'member 1');
  first.saveMember('key', 'member 2');
  first.saveInvitation('invitation', 'text');
  first.saveInvitation('invitation', 'another text');
  first.enrol('invitation', 'enrolled', 'member 3', 5);
  first.saveGrant('id', 'grant', 10_000);
  first.saveMediators(new Map([['gateway', { report: Buffer.from('01', 'hex'), lastSeenMs: 7 }]]));
  const unheard = { report: undefined };
  first.saveMediators(
    new Map([
      ['gateway', { ...unheard, lastSeenMs: 8 }],
      ['other', { ...unheard, lastSeenMs: 9 }],
    ]),
  );
  first.close();
  const second = await opened(t, stateDir);
  t.is(second.trust(), 'trust 2');
  t.deepEqual(second.members().sort(), ['member 2', 'member 3']);
  t.deepEqual(second.invitation('invitation'), { text: 'text', usedBy: 'enrolled' });
  t.is(second.invitation('nobody'), undefined);
  t.deepEqual(second.grants(0), ['grant']);
  t.deepEqual(second.mediator('gateway'), { report: new Uint8Array([1]), lastSeenMs: 8 });
  t.deepEqual(second.mediator('other'), { report: undefined, lastSeenMs: 9 });
  t.is(second.mediator('nobody'), undefined);
});

test('a member takes the place of another in one step', async t => {
  const store = await opened(t, scratch(t));
  store.saveMember('old', 'old text');
  store.saveMember('new', 'new text', 'old');
  t.deepEqual(store.members(), ['new text']);
  store.saveInvitation('invitation', 'text');
  store.enrol('invitation', 'newest', 'newest text', 1, 'new');
  t.deepEqual(store.members(), ['newest text']);
  t.throws(() => store.enrol('invitation', 'late', 'late text', 1, 'newest'), { code: 'code-used' });
  t.deepEqual(store.members(), ['newest text']);
});

test('the files are readable by their owner alone, also in a directory that others may read', async t => {
  const stateDir = scratch(t);
  mkdirSync(stateDir, { mode: 0o755 });
  const store = await opened(t, stateDir);
  store.saveTrust('trust');
  for (const name of ['server.sqlite', 'server.sqlite-wal', 'server.sqlite-shm'])
    t.is(statSync(join(stateDir, name)).mode & 0o777, 0o600, name);
});

test('a store that others may write is not believed', async t => {
  const stateDir = scratch(t);
  (await Store.open(stateDir)).close();
  const path = join(stateDir, 'server.sqlite');
  for (const mode of [0o620, 0o602, 0o666]) {
    chmodSync(path, mode);
    await t.throwsAsync(Store.open(stateDir), { code: 'state-unreadable', message: /chmod 600/ });
  }
  chmodSync(path, 0o644);
  (await opened(t, stateDir)).saveTrust('text');
});

test('a store that is no database, or is none any more, is refused with its path and what to do', async t => {
  const stateDir = scratch(t);
  const path = join(stateDir, 'server.sqlite');
  mkdirSync(stateDir);
  writeFileSync(
    path,
    'this is no database, but it is long enough to be looked at by whoever opens it'.repeat(20),
  );
  const refusal = { code: 'state-unreadable', message: /server\.sqlite cannot be used .*backup/ };
  await t.throwsAsync(Store.open(stateDir), refusal);
  rmSync(path);
  (await Store.open(stateDir)).close();
  const bytes = readFileSync(path);
  for (const name of [path, `${path}-wal`, `${path}-shm`]) rmSync(name, { force: true });
  writeFileSync(path, bytes.fill(0xff, 100));
  await t.throwsAsync(Store.open(stateDir), refusal);
  rmSync(path);
  mkdirSync(path);
  await t.throwsAsync(Store.open(stateDir), { code: 'state-unreadable', message: /server\.sqlite/ });
});

/** What a process says whose packages do not include SQLite. */
function openWithoutSqlite(stateDir: string): string {
  const hooks = `export const resolve = (name, context, next) => {
    if (name.startsWith('@photostructure')) throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(name, context);
  };`;
  const module = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
  const register = `import { register } from 'node:module'; register(${JSON.stringify(module(hooks))});`;
  const store = new URL('./store.js', import.meta.url).href;
  const program = `
    const { Store } = await import(${JSON.stringify(store)});
    await Store.open(${JSON.stringify(stateDir)}).catch(({ code, message }) => console.log(code, message));`;
  const words = ['--import', module(register), '--input-type=module'];
  return execFileSync(process.execPath, [...words, '-e', program], { encoding: 'utf8' });
}

test('without SQLite the server says which package it lacks', t => {
  const said = openWithoutSqlite(scratch(t));
  t.regex(said, /^environment-unfit .*npm install @photostructure\/sqlite/);
});

test('one state directory is for one server at a time; who only reads the store is not kept out', async t => {
  const stateDir = scratch(t);
  const release = await lockState(stateDir);
  await t.throwsAsync(lockState(stateDir), {
    code: 'environment-unfit',
    message: /Another server is running/,
  });
  (await Store.open(stateDir)).close();
  release();
  (await lockState(stateDir))();
});

test('a server that was killed leaves no lock behind', async t => {
  const stateDir = scratch(t);
  const lock = new URL('./state-lock.js', import.meta.url).href;
  const program = `
    const { lockState } = await import(${JSON.stringify(lock)});
    await lockState(${JSON.stringify(stateDir)});
    process.kill(process.pid, 'SIGKILL');`;
  t.throws(() => execFileSync(process.execPath, ['--input-type=module', '-e', program]), {
    message: /Command failed/,
  });
  (await lockState(stateDir))();
});
