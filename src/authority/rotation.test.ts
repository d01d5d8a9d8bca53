import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { verifyGrant } from '../policy/grant-verify.ts';
import type { GrantWish } from '../policy/grant-wish.ts';
import type { IssuedInvitation } from '../policy/invite.ts';
import { signJws } from '../policy/jws.ts';
import { verifyMemberStatement } from '../policy/member-statement.ts';
import { acceptTrust, type TrustStatement, verifyTrustStatement } from '../policy/trust-statement.ts';
import {
  type Authority,
  authorityFiles,
  currentTrustStatement,
  initAuthority,
  issueGrant,
  issueMemberStatement,
  issueTrustStatement,
  type KnownMember,
  listGrants,
  makeInvitation,
  openAuthority,
  replaceStolenKey,
  retireKeys,
  rotateKey,
} from './index.ts';

const nowMs = Date.UTC(2026, 10, 30, 12);
const hourMs = 3_600_000;
const pin = generateSigningKey().text;
const key = generateSigningKey().text;
const identity = { role: 'mediator', name: 'home-1', labels: ['voip'] } as const;

async function ready(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-rotation-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const authority = initAuthority(join(folder, 'authority'), 'Acme Networks');
  const trust = await issueTrustStatement(authority, { serverPins: [pin] }, nowMs);
  const { text } = await issueMemberStatement(authority, key, identity, nowMs);
  const member: KnownMember = { ...identity, key, signer: authority.key.text };
  const wish: GrantWish = { terminalKey: key, mediators: [{ name: 'home-1' }], purpose: 'assistance' };
  const grant = await issueGrant(authority, wish, nowMs);
  return { directory: authority.directory, authority, trust, statement: text, member, grant, wish };
}

/** What a member believes that held `held` when these documents came. */
async function believed(held: TrustStatement, documents: readonly string[]): Promise<TrustStatement> {
  let trust = held;
  for (const text of documents) {
    const found = await verifyTrustStatement(text, trust.authorityKeys).catch(() => undefined);
    if (found !== undefined) trust = acceptTrust(trust, found);
  }
  return trust;
}

const signedBy = (member: KnownMember, { key: { text } }: Authority): KnownMember => ({
  ...member,
  signer: text,
});

test('P6.2: after a rotation the successor signs, members are signed anew, and what was signed before counts still', async t => {
  const { directory, authority, trust, statement, member, grant, wish } = await ready(t);
  const change = await rotateKey(directory, [member], nowMs + hourMs);
  const [now, successor] = change.authority.publicKeys;
  t.is(now, authority.publicKeys[1]);
  t.false([...authority.publicKeys].includes(successor));
  t.deepEqual(change.formerKeys, [authority.key.text]);
  const after = await believed(trust, change.documents);
  t.deepEqual(after.authorityKeys, [now, successor, authority.key.text]);
  t.is(after.signer, now);
  const anew = await verifyMemberStatement(change.documents[1] ?? '', after);
  t.like(anew, { key, name: 'home-1', labels: ['voip'] });
  t.true(anew.seq > (await verifyMemberStatement(statement, after)).seq);
  t.is((await verifyGrant(grant.text, after, nowMs + hourMs)).id, grant.id);
  t.truthy(
    await verifyGrant((await issueGrant(change.authority, wish, nowMs + hourMs)).text, after, nowMs + hourMs),
  );
  t.is(readFileSync(authorityFiles.rotation(directory), 'utf8').trim().split('\n').length, 2);
  t.is(openAuthority(directory).key.text, now);
});

test('P6.2: a key is retired only when no member and no grant hangs on it; then it is worth nothing', async t => {
  const { directory, authority, trust, statement, member, grant } = await ready(t);
  await t.throwsAsync(retireKeys(authority, [member], nowMs, false), {
    code: 'bad-usage',
    message: /no key of before/,
  });
  const rotated = await rotateKey(directory, [member], nowMs + hourMs);
  const anew = signedBy(member, rotated.authority);
  const later = nowMs + 2 * hourMs;
  const left = { code: 'bad-usage', message: /1 members .*home-1.*rotate-key" again/ };
  await t.throwsAsync(retireKeys(rotated.authority, [member], later, true), left);
  const inForce = { code: 'bad-usage', message: /1 grants .* until 2026-12-01T00.*--reissue-grants/ };
  await t.throwsAsync(retireKeys(rotated.authority, [anew], later, false), inForce);
  const change = await retireKeys(rotated.authority, [anew], later, true);
  t.is(change.grants, 1);
  const after = await believed(trust, [...rotated.documents, ...change.documents]);
  t.deepEqual(after.authorityKeys, [...rotated.authority.publicKeys]);
  t.true(after.revokedKeys.has(authority.key.text));
  await t.throwsAsync(verifyGrant(grant.text, after, later));
  await t.throwsAsync(verifyMemberStatement(statement, after));
  const reissued = await verifyGrant(change.documents[0] ?? '', after, later);
  t.like(reissued, { terminalThumbprint: grant.terminalThumbprint, expiresAtMs: grant.expiresAtMs });
  t.not(reissued.id, grant.id);
  // Who has stolen the old key signs what it likes.
  const claims = { operator: 'Acme Networks', seq: 99, iat: later / 1000, serverPins: [key] };
  const keys = { authorityKeys: [authority.key.text] };
  const forged = await signJws('entremise-trust+jwt', { ...claims, ...keys }, authority.key);
  t.is((await believed(after, [forged])).seq, after.seq);
});

test('P6.2: once its grants have expired a key is retired as it is', async t => {
  const { directory, member } = await ready(t);
  const { authority } = await rotateKey(directory, [member], nowMs);
  const change = await retireKeys(authority, [signedBy(member, authority)], nowMs + 13 * hourMs, false);
  t.is(change.grants, 0);
  t.is(
    (await rotateKey(directory, [signedBy(member, authority)], nowMs + 13 * hourMs)).members,
    1,
    'and so on',
  );
});

test('a second rotation before the first is over is refused; the same again is not, while members hang on the old key', async t => {
  const { directory, authority, member } = await ready(t);
  const first = await rotateKey(directory, [member], nowMs);
  const second = await rotateKey(directory, [member], nowMs);
  t.deepEqual(second.authority.publicKeys, first.authority.publicKeys);
  t.deepEqual(second.formerKeys, [authority.key.text]);
  const over = rotateKey(directory, [signedBy(member, first.authority)], nowMs);
  await t.throwsAsync(over, { code: 'bad-usage', message: /first "entremise authority retire-key"/ });
});

test('a rotation that was cut off between its keys, or before its statement, is finished by the same verb', async t => {
  const { directory, authority, trust, member } = await ready(t);
  const whole = await rotateKey(directory, [member], nowMs);
  const next = authorityFiles.nextKey(directory);
  renameSync(next, authorityFiles.comingKey(directory));
  t.deepEqual(openAuthority(directory).publicKeys, whole.authority.publicKeys);
  t.true(existsSync(next));
  const again = await rotateKey(directory, [member], nowMs);
  const after = await believed(trust, again.documents);
  t.deepEqual(after.authorityKeys, [...whole.authority.publicKeys, authority.key.text]);
});

test('a lost key is replaced by its successor', async t => {
  const { directory, authority, trust, member } = await ready(t);
  rmSync(authorityFiles.key(directory));
  const change = await rotateKey(directory, [member], nowMs);
  t.is(change.authority.key.text, authority.publicKeys[1]);
  t.deepEqual(change.formerKeys, [authority.key.text]);
  t.is((await believed(trust, change.documents)).signer, authority.publicKeys[1]);
});

test('P6.2: a stolen key is replaced in one step, and everything that counted counts again', async t => {
  const { directory, authority, trust, member, grant } = await ready(t);
  const change = await replaceStolenKey(directory, [member], nowMs);
  const after = await believed(trust, change.documents);
  t.false(after.authorityKeys.includes(authority.key.text));
  t.is(change.documents.length, 4);
  t.like(await verifyMemberStatement(change.documents[1] ?? '', after), { name: 'home-1' });
  t.is((await verifyGrant(change.documents[2] ?? '', after, nowMs)).expiresAtMs, grant.expiresAtMs);
  t.is(listGrants(change.authority, nowMs).length, 2);
  t.is(readFileSync(authorityFiles.rotation(directory), 'utf8').trim().split('\n').length, 4);
});

test('nothing is rotated that no member was told of', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-rotation-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const { directory } = initAuthority(join(folder, 'authority'), 'Acme Networks');
  await t.throwsAsync(rotateKey(directory, [], nowMs), {
    code: 'bad-usage',
    message: /authority trust.* comes first/,
  });
});

test('codes after a rotation are made for the new key', async t => {
  const { directory, member } = await ready(t);
  const { authority } = await rotateKey(directory, [member], nowMs);
  const made: IssuedInvitation = await makeInvitation(authority, { ...identity, name: 'home-2' }, nowMs);
  t.is((await currentTrustStatement(authority))?.signer, authority.key.text);
  t.truthy(made.code);
});
