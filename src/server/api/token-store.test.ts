import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TokenStore } from './token-store.ts';

const hourMs = 3_600_000;
const wish = { name: 'helpdesk', grantId: 'grant-0001', lifeMs: hourMs };

async function tokens(t: ExecutionContext): Promise<{ store: TokenStore; directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'entremise-tokens-'));
  const store = await TokenStore.open(directory);
  t.teardown(() => {
    store.close();
    rmSync(directory, { recursive: true });
  });
  return { store, directory };
}

test('a token is found by its text, and by nothing like it', async t => {
  const { store } = await tokens(t);
  const { token, text } = store.create(wish, 1000);
  t.regex(text, /^entremise_[0-9a-f]{12}_[\w-]{43}$/);
  t.deepEqual(store.find(text, 2000), token);
  const other = store.create(wish, 1000).text;
  const mixed = text.slice(0, 23) + other.slice(23);
  for (const wrong of ['', text.slice(0, -1), `${text}x`, mixed, text.replace('entremise', 'Entremise')])
    t.is(store.find(wrong, 2000), undefined, wrong);
});

test('it is good until it expires', async t => {
  const { store } = await tokens(t);
  const { text } = store.create(wish, 1000);
  t.truthy(store.find(text, 1000 + hourMs - 1));
  t.is(store.find(text, 1000 + hourMs), undefined);
});

test('a token that another process revokes is refused at once', async t => {
  const { store, directory } = await tokens(t);
  const { token, text } = store.create(wish, 1000);
  const other = await TokenStore.open(directory);
  other.revoke(token.id, 3000);
  other.close();
  t.is(store.find(text, 3001), undefined);
  t.is(store.list()[0]?.revokedAtMs, 3000);
  t.throws(() => store.revoke('000000000000', 1), { code: 'bad-request' });
});

test('a renewed grant takes the place of the old one', async t => {
  const { store } = await tokens(t);
  const { token, text } = store.create(wish, 1000);
  store.setGrant(token.id, 'grant-0002');
  t.is(store.find(text, 2000)?.grantId, 'grant-0002');
});

test('its scopes are kept', async t => {
  const { store } = await tokens(t);
  const { text } = store.create({ ...wish, scopes: ['audit', 'grants'] }, 1000);
  t.deepEqual(store.find(text, 2000)?.scopes, ['audit', 'grants']);
});

test('no secret is kept, and nobody else can read the file', async t => {
  const { store, directory } = await tokens(t);
  const { text } = store.create(wish, 1000);
  const path = join(directory, 'tokens.sqlite');
  const kept = readdirSync(directory)
    .map(file => readFileSync(join(directory, file), 'latin1'))
    .join('');
  t.false(kept.includes(text.slice(23)));
  t.true(kept.includes('helpdesk'));
  t.is(statSync(path).mode & 0o077, 0);
  t.teardown(() => {});
});
