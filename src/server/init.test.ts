import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { pinOf } from '../transport/pin.ts';
import { readServerConfig } from './config.ts';
import { initServer } from './init.ts';
import { pinText, readKeyAndCertificate } from './tls-keys.ts';

const authorityKey = generateSigningKey().text;

function scratch(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-init-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'state');
}

function init(stateDir: string, key = authorityKey) {
  const addresses = [{ host: 'server.example', number: 443 }];
  return initServer({ stateDir, authorityKey: key, listen: { host: '::', number: 8443 }, addresses });
}

test('everything that a server needs is made, for its owner only, and the pin is that of its key', async t => {
  const stateDir = scratch(t);
  const { pin } = await init(stateDir);
  t.is(statSync(stateDir).mode & 0o777, 0o700);
  for (const name of ['server.key', 'server.crt', 'server.toml', 'server.sqlite'])
    t.is(statSync(join(stateDir, name)).mode & 0o777, 0o600, name);
  const pair = readKeyAndCertificate(stateDir);
  t.is(pin, pinOf(pair.key).toString('base64url'));
  t.is(pin, pinText(pair));
  t.like(readServerConfig(stateDir), { authorityKey, listen: { host: '::', number: 8443 } });
  t.true(readFileSync(join(stateDir, 'server.crt'), 'utf8').startsWith('-----BEGIN CERTIFICATE-----'));
});

test('a server that is there is not overwritten', async t => {
  const stateDir = scratch(t);
  const { pin } = await init(stateDir);
  await t.throwsAsync(init(stateDir), { code: 'bad-usage', message: /holds a server already/ });
  t.is(pinText(readKeyAndCertificate(stateDir)), pin);
});

test('an init that was interrupted can be done again', async t => {
  const stateDir = scratch(t);
  await init(stateDir);
  rmSync(join(stateDir, 'server.key'));
  const { pin } = await init(stateDir);
  t.is(pinText(readKeyAndCertificate(stateDir)), pin);
});

test('a configuration that says something else is neither overwritten nor believed', async t => {
  const stateDir = scratch(t);
  await init(stateDir, generateSigningKey().text);
  rmSync(join(stateDir, 'server.key'));
  await t.throwsAsync(init(stateDir), { code: 'bad-usage', message: /server\.toml is there already/ });
  t.false(existsSync(join(stateDir, 'server.key')));
});

test('what is no authority key is refused before anything is made', async t => {
  const stateDir = scratch(t);
  for (const key of ['', 'abc', `${authorityKey}=`, authorityKey.slice(1)])
    await t.throwsAsync(init(stateDir, key), { code: 'bad-usage', message: /43 characters/ });
  t.false(existsSync(stateDir));
});

test('a key that others may read, or that is not the certificate\u2019s, is refused with what to do', async t => {
  const [stateDir, other] = [scratch(t), scratch(t)];
  await init(stateDir);
  await init(other);
  const keyPath = join(stateDir, 'server.key');
  chmodSync(keyPath, 0o640);
  t.throws(() => readKeyAndCertificate(stateDir), { code: 'state-unreadable', message: /chmod 600/ });
  chmodSync(keyPath, 0o600);
  for (const text of [readFileSync(join(other, 'server.key')), 'nonsense', '']) {
    writeFileSync(keyPath, text);
    t.throws(() => readKeyAndCertificate(stateDir), { code: 'state-unreadable', message: /server\.key/ });
  }
});
