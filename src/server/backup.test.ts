import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { TokenStore } from './api/token-store.ts';
import { backUp, restore } from './backup.ts';
import { readServerConfig } from './config.ts';
import { initServer } from './init.ts';
import { Store } from './store.ts';
import { pinText, readKeyAndCertificate } from './tls-keys.ts';

const address = { host: '127.0.0.1', number: 8443 };

function folders(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-backup-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return { stateDir: join(folder, 'server'), copy: join(folder, 'copy'), again: join(folder, 'again') };
}

test('a copy made while the state is open is a state directory like the one it was made of', async t => {
  const { stateDir, copy } = folders(t);
  const target = join(copy, 'deeper');
  const authorityKey = generateSigningKey().text;
  const { pin } = await initServer({ stateDir, authorityKey, listen: address, addresses: [address] });
  const [store, tokens] = [await Store.open(stateDir), await TokenStore.open(stateDir)];
  store.saveTrust('a trust statement');
  const { text } = tokens.create({ name: 'x', grantId: undefined, lifeMs: 1000 }, 0);
  const copied = await backUp(stateDir, target);
  t.true(
    ['server.sqlite', 'tokens.sqlite', 'server.key', 'server.toml'].every(each => copied.includes(each)),
  );
  for (const each of [store, tokens]) each.close();
  const [storeAgain, tokensAgain] = [await Store.open(target), await TokenStore.open(target)];
  t.is(storeAgain.trust(), 'a trust statement');
  t.truthy(tokensAgain.find(text, 500));
  for (const each of [storeAgain, tokensAgain]) each.close();
  t.is(readServerConfig(target).authorityKey, authorityKey);
  t.notThrows(() => readKeyAndCertificate(target));
  t.truthy(pin);
  await t.throwsAsync(backUp(stateDir, target), { code: 'bad-usage' });
});

const members = 20;

/** A process that enrols one member after the other until it is told to end, each with its invitation in one transaction. */
const writer = (stateDir: string) => `
  const { Store } = await import(${JSON.stringify(new URL('./store.js', import.meta.url).href)});
  const store = await Store.open(${JSON.stringify(stateDir)});
  let on = true;
  process.stdin.on('end', () => { on = false; }).resume();
  for (let n = 0; on || n < 2 * ${members}; n++) {
    store.saveInvitation('i' + n, 'text');
    store.enrol('i' + n, 'm' + (n % ${members}) + '-' + n, 'member ' + n, n, n < ${members} ? undefined : 'm' + (n % ${members}) + '-' + (n - ${members}));
    if (n === ${members}) console.log('full');
    if (n % 20 === 0) await new Promise(resolve => setImmediate(resolve));
  }
  store.close();`;

test('a copy made while somebody writes is of one moment, and a server is made of it again', async t => {
  const { stateDir, copy, again } = folders(t);
  const authorityKey = generateSigningKey().text;
  const { pin } = await initServer({ stateDir, authorityKey, listen: address, addresses: [address] });
  const child = spawn(process.execPath, ['--input-type=module', '-e', writer(stateDir)], { stdio: 'pipe' });
  await once(child.stdout, 'data');
  await backUp(stateDir, copy);
  t.is(child.exitCode, null, 'it was still writing');
  child.stdin.end();
  t.deepEqual((await once(child, 'close'))[0], 0);
  await restore(copy, again);
  const store = await Store.open(again);
  t.is(store.members().length, members, 'each came with the one whose place it took');
  store.close();
  t.is(pinText(readKeyAndCertificate(again)), pin);
});

test('nothing is restored over what is there, and nothing of a backup that is damaged', async t => {
  const { stateDir, copy, again } = folders(t);
  const authorityKey = generateSigningKey().text;
  await initServer({ stateDir, authorityKey, listen: address, addresses: [address] });
  await backUp(stateDir, copy);
  await t.throwsAsync(restore(copy, stateDir), { code: 'bad-usage', message: /nothing is overwritten/ });
  const path = join(copy, 'server.sqlite');
  const bytes = readFileSync(path);
  writeFileSync(path, Buffer.from(bytes).fill(0xff, 4096, 8192));
  await t.throwsAsync(restore(copy, again), { code: 'state-unreadable', message: /server\.sqlite/ });
  writeFileSync(path, bytes);
  rmSync(join(copy, 'server.crt'));
  await t.throwsAsync(restore(copy, again), { code: 'state-unreadable', message: /server\.crt/ });
  t.false(existsSync(again));
});
