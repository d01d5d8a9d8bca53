import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { TokenStore } from './api/token-store.ts';
import { backUp } from './backup.ts';
import { readServerConfig } from './config.ts';
import { initServer, readKeyAndCertificate } from './init.ts';
import { Store } from './store.ts';

const address = { host: '127.0.0.1', number: 8443 };

test('a copy made while the state is open is a state directory like the one it was made of', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-backup-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const [stateDir, target] = [join(folder, 'server'), join(folder, 'deep', 'copy')];
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
