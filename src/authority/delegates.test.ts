import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey, keyThumbprint } from '../base/keys.ts';
import { verifyGrant } from '../policy/grant-verify.ts';
import { overlaidTerms } from '../policy/grant-wish.ts';
import { addDelegate, makeDesk, openDesk, removeDelegate } from './delegates.ts';
import { issueGrantAs } from './grants.ts';
import { initAuthority } from './init.ts';
import { listRoles, readRole, removeRole, setRole } from './roles.ts';
import { issueTrustStatement } from './trust.ts';

const nowMs = Date.UTC(2026, 10, 22);
const dayMs = 24 * 3_600_000;
const terminal = generateSigningKey();

async function scene(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-delegates-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const authority = initAuthority(join(folder, 'authority'), 'Test Operator');
  await issueTrustStatement(authority, { serverPins: [generateSigningKey().text] }, nowMs);
  const desk = makeDesk(join(folder, 'desk'));
  const wish = { key: desk.key.text, name: 'desk', purposes: ['service'] as const, lifeMs: 5 * dayMs };
  const grant = { terminalKey: terminal.text, mediators: [{ name: 'gw-1' }], purpose: 'service' as const };
  return { folder, authority, desk, wish, grant };
}

test('a desk signs grants that verify by the chain: authority, trust statement, delegate, grant', async t => {
  const { folder, authority, wish, grant: terms } = await scene(t);
  const trust = await addDelegate(authority, { ...wish, limits: { ports: 2 } }, nowMs);
  const grant = await issueGrantAs(openDesk(join(folder, 'desk')), trust, terms, nowMs);
  t.like(grant, {
    signer: wish.key,
    limits: { ports: 2 },
    terminalThumbprint: keyThumbprint(terminal.publicKey),
  });
  await removeDelegate(authority, 'desk', nowMs);
  const after = await issueTrustStatement(authority, {}, nowMs);
  t.deepEqual(after.delegates, []);
  await t.throwsAsync(verifyGrant(grant.text, after, nowMs), { code: 'grant-invalid' });
});

test('a grant beyond its delegate is not signed', async t => {
  const { authority, desk, wish, grant } = await scene(t);
  const trust = await addDelegate(authority, { ...wish, terminalKeys: [generateSigningKey().text] }, nowMs);
  const issue = (terms: object) => issueGrantAs(desk, trust, { ...grant, ...terms }, nowMs);
  await t.throwsAsync(issue({}), { message: /may grant nothing/ });
  await t.throwsAsync(issue({ lifeMs: 6 * dayMs }), { message: /lives longer|may grant nothing/ });
  await t.throwsAsync(issue({ purpose: 'assistance' }), { message: /which its signer desk may not grant/ });
});

test('a delegate of the same name is replaced, one that is over is left out, one of the authority’s own keys refused', async t => {
  const { authority, wish } = await scene(t);
  await addDelegate(authority, wish, nowMs);
  const narrower = await addDelegate(authority, { ...wish, commands: ['connect'] }, nowMs);
  t.deepEqual(
    narrower.delegates.map(({ name, commands }) => [name, commands]),
    [['desk', ['connect']]],
  );
  const later = await issueTrustStatement(authority, {}, nowMs + 6 * dayMs);
  t.deepEqual(later.delegates, []);
  await t.throwsAsync(addDelegate(authority, { ...wish, key: authority.key.text }, nowMs), {
    code: 'bad-usage',
  });
  await t.throwsAsync(removeDelegate(authority, 'nobody', nowMs), { code: 'bad-usage' });
});

test('a role is kept, laid under what else is said, and forgotten', async t => {
  const { authority } = await scene(t);
  setRole(authority, 'technician', {
    targets: { tcp: ['22', '80'] },
    limits: { ports: 4 },
    lifeMs: 8 * 3_600_000,
  });
  setRole(authority, 'voip', { purpose: 'service' });
  t.deepEqual(
    listRoles(authority).map(({ name }) => name),
    ['technician', 'voip'],
  );
  const { terms } = readRole(authority, 'technician');
  t.deepEqual(overlaidTerms(terms, { targets: { udp: ['161'] }, limits: { ports: 1 }, purpose: 'service' }), {
    targets: { tcp: ['22', '80'], udp: ['161'] },
    limits: { ports: 1 },
    lifeMs: 8 * 3_600_000,
    purpose: 'service',
  });
  removeRole(authority, 'technician');
  t.throws(() => readRole(authority, 'technician'), { code: 'bad-usage' });
});

test('a role that no grant may have is refused, and says why', async t => {
  const { authority } = await scene(t);
  const bad = { targets: { tcp: ['99999'] } };
  t.throws(() => setRole(authority, 'x', bad), { code: 'bad-usage', message: /targets\.tcp/ });
  t.throws(() => setRole(authority, '../x', {}), { code: 'bad-usage', message: /name of a role/ });
  t.throws(() => setRole(authority, 'x', { lifeMs: 1 }), { code: 'bad-usage', message: /lifeMs/ });
  t.deepEqual(listRoles(authority), []);
});
