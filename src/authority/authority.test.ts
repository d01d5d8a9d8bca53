import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { generateSigningKey, keyThumbprint } from '../base/keys.ts';
import { addressEntryText } from '../policy/address-entry.ts';
import { codeIsFor, invitationKeyOf, parseEnrolmentCode } from '../policy/enrolment-code.ts';
import { verifyGrant } from '../policy/grant-verify.ts';
import {
  signEnrolment,
  verifyEnrolment,
  verifyInvitation,
  verifyMemberStatement,
} from '../policy/member-statement.ts';
import { acceptTrust, verifyTrustStatement } from '../policy/trust-statement.ts';
import {
  type Authority,
  currentTrustStatement,
  initAuthority,
  issueGrant,
  issueMemberStatement,
  issueTrustStatement,
  listGrants,
  makeInvitation,
  openAuthority,
  readGrant,
  revokeGrant,
  revokeKeys,
} from './index.ts';

const nowMs = 1_772_323_200_000;
const hourMs = 3_600_000;
const pin = generateSigningKey().text;
const terminal = generateSigningKey();
const mediator = generateSigningKey();

function newAuthority(t: ExecutionContext): Authority {
  const directory = mkdtempSync(join(tmpdir(), 'entremise-authority-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return initAuthority(join(directory, 'authority'), 'Acme Networks');
}

async function readyAuthority(t: ExecutionContext): Promise<Authority> {
  const authority = newAuthority(t);
  await issueTrustStatement(authority, { serverPins: [pin], serverAddresses: ['server.example:443'] }, nowMs);
  return authority;
}

async function refused(
  t: ExecutionContext,
  promise: Promise<unknown>,
  code: ErrorCode,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(promise, { instanceOf: EntremiseError, message });
  t.is((error as EntremiseError).code, code);
}

const wish = { terminalKey: terminal.text, mediators: [{ name: 'gw-1' }], purpose: 'assistance' } as const;
const grantWish = { ...wish, mediators: [...wish.mediators] };

test('an authority is two keys and a state that only its user can read', t => {
  const { directory, publicKeys, key } = newAuthority(t);
  t.deepEqual(readdirSync(directory).sort(), ['authority.key', 'next.key', 'state.json']);
  for (const name of readdirSync(directory)) t.is(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  t.is(statSync(directory).mode & 0o777, 0o700);
  t.is(publicKeys[0], key.text);
  t.not(publicKeys[0], publicKeys[1]);
  t.deepEqual(openAuthority(directory).publicKeys, publicKeys);
});

test('an authority is never made over another, and not without a printable name', t => {
  const { directory } = newAuthority(t);
  t.throws(() => initAuthority(directory, 'Other'), { message: /is not overwritten/ });
  t.is(openAuthority(directory).operator, 'Acme Networks');
  t.throws(() => initAuthority(`${directory}-2`, '\u001b[2J'), {
    message: /The operator's name must be 1 to 63/,
  });
});

test('an absent or damaged authority is an error that names the file', t => {
  const { directory } = newAuthority(t);
  t.throws(() => openAuthority(`${directory}-absent`), {
    message: /absent\/authority\.key: it does not exist/,
  });
  writeFileSync(join(directory, 'state.json'), '{"version":1}');
  t.throws(() => openAuthority(directory), { message: /state\.json is not the state of an authority/ });
});

test('each trust statement has a higher seq, keeps what is not changed, and survives a restart', async t => {
  const authority = await readyAuthority(t);
  const first = await currentTrustStatement(authority);
  const second = await issueTrustStatement(
    openAuthority(authority.directory),
    { revokedKeys: [mediator.text] },
    nowMs,
  );
  t.is(first?.seq, 1);
  t.is(second.seq, 2);
  t.deepEqual(second.serverPins, [pin]);
  t.is(acceptTrust(first, await verifyTrustStatement(second.text, first?.authorityKeys ?? [])).seq, 2);
  t.is((await currentTrustStatement(authority))?.text, second.text);
});

test('nothing is signed before a server is known, and a malformed change changes nothing', async t => {
  const authority = newAuthority(t);
  await refused(t, issueTrustStatement(authority, {}, nowMs), 'bad-usage', /knows no server yet/);
  await refused(t, issueGrant(authority, grantWish, nowMs), 'bad-usage', /no trust statement yet/);
  await refused(
    t,
    issueTrustStatement(authority, { serverPins: ['x'] }, nowMs),
    'document-invalid',
    /serverPins\[0\] must be 32 bytes/,
  );
  t.is((await issueTrustStatement(authority, { serverPins: [pin] }, nowMs)).seq, 1);
});

test('two commands at once do not give one seq twice; a lock of a dead process does not count', async t => {
  const authority = await readyAuthority(t);
  const both = await Promise.allSettled([
    issueTrustStatement(authority, {}, nowMs),
    issueTrustStatement(authority, {}, nowMs),
  ]);
  t.deepEqual(both.map(each => each.status).sort(), ['fulfilled', 'rejected']);
  const lock = join(authority.directory, 'lock');
  writeFileSync(lock, `${process.ppid}\n`);
  await refused(
    t,
    issueTrustStatement(authority, {}, nowMs),
    'state-unreadable',
    /another command is working on this authority/,
  );
  writeFileSync(lock, '4194305\n');
  t.is((await issueTrustStatement(authority, {}, nowMs)).seq, 3);
  t.false(readdirSync(authority.directory).includes('lock'));
});

test('an authority cannot silence itself', async t => {
  const authority = await readyAuthority(t);
  await refused(
    t,
    revokeKeys(authority, [authority.key.text], nowMs),
    'bad-usage',
    /cannot revoke its own keys/,
  );
  await refused(t, revokeKeys(authority, ['gw-1'], nowMs), 'bad-usage', /43 characters of base64url/);
  t.true((await revokeKeys(authority, [mediator.text], nowMs)).revokedKeys.has(mediator.text));
});

test('member statements get a rising seq and are refused when malformed or revoked', async t => {
  const authority = await readyAuthority(t);
  const identity = { role: 'mediator', name: 'gw-1', labels: ['lab'] } as const;
  const first = await issueMemberStatement(authority, mediator.text, identity, nowMs);
  const second = await issueMemberStatement(authority, mediator.text, { ...identity, labels: [] }, nowMs);
  t.deepEqual([first.seq, second.seq], [1, 2]);
  const trust = await currentTrustStatement(authority);
  t.like(trust && (await verifyMemberStatement(second.text, trust)), { name: 'gw-1', labels: [] });
  await refused(
    t,
    issueMemberStatement(authority, mediator.text, { ...identity, name: 'GW 1' }, nowMs),
    'document-invalid',
    /name must be/,
  );
  await revokeKeys(authority, [mediator.text], nowMs);
  await refused(
    t,
    issueMemberStatement(authority, mediator.text, identity, nowMs),
    'key-revoked',
    /The key of gw-1/,
  );
});

test('an enrolment from code to member statement: authority, member, server each do their part', async t => {
  const authority = await readyAuthority(t);
  const identity = { role: 'mediator', name: 'gw-7', labels: ['region:north'] } as const;
  const { code, invitation } = await makeInvitation(authority, identity, nowMs);
  t.is(invitation.notAfterMs, nowMs + 10 * 60_000);

  const typed = parseEnrolmentCode(code.toLowerCase());
  t.true(codeIsFor(typed, pin, authority.key.text));
  const enrolment = await signEnrolment(invitationKeyOf(typed), mediator.text, nowMs + 1000);

  const trust = await currentTrustStatement(authority);
  if (trust === undefined) return t.fail();
  const known = await verifyInvitation(invitation.text, trust);
  const statement = await verifyEnrolment(known, enrolment, mediator.text, trust, nowMs + 2000);
  t.like(statement, { key: mediator.text, name: 'gw-7', labels: ['region:north'], seq: 0 });
});

test('the code is kept nowhere', async t => {
  const authority = await readyAuthority(t);
  const { code } = await makeInvitation(authority, { role: 'terminal', name: 'tech', labels: [] }, nowMs);
  const secret = parseEnrolmentCode(code).secret;
  for (const name of readdirSync(authority.directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(authority.directory, name);
    if (statSync(path).isDirectory()) continue;
    const content = readFileSync(path, 'latin1');
    for (const form of [
      code,
      secret.toString('latin1'),
      secret.toString('hex'),
      secret.toString('base64url'),
    ]) {
      t.false(content.includes(form), name);
    }
  }
});

test('codes are different each time, and live at most a week', async t => {
  const authority = await readyAuthority(t);
  const identity = { role: 'terminal', name: 'tech', labels: [] } as const;
  const codes = [
    await makeInvitation(authority, identity, nowMs),
    await makeInvitation(authority, identity, nowMs),
  ];
  t.not(codes[0]?.code, codes[1]?.code);
  for (const lifeMs of [0, -1, Number.NaN, 8 * 24 * hourMs]) {
    await refused(t, makeInvitation(authority, identity, nowMs, lifeMs), 'bad-usage', /at most 7 days/);
  }
});

test('a grant says what was wished, or the LAN by default, for 12 hours', async t => {
  const authority = await readyAuthority(t);
  const grant = await issueGrant(authority, grantWish, nowMs);
  t.is(grant.expiresAtMs - grant.issuedAtMs, 12 * hourMs);
  t.is(grant.terminalThumbprint, keyThumbprint(terminal.publicKey));
  t.deepEqual(grant.targets.networks.map(addressEntryText), ['lan']);
  const trust = await currentTrustStatement(authority);
  t.is(trust && (await verifyGrant(grant.text, trust, nowMs)).id, grant.id);
  const narrow = await issueGrant(
    authority,
    { ...grantWish, targets: { networks: ['192.168.1.10'], tcp: [80] }, lifeMs: hourMs },
    nowMs,
  );
  t.deepEqual(narrow.targets.udp, []);
  t.is(narrow.expiresAtMs - narrow.issuedAtMs, hourMs);
});

test('no grant is signed that a member would refuse', async t => {
  const authority = await readyAuthority(t);
  await refused(
    t,
    issueGrant(authority, { ...grantWish, lifeMs: 25 * hourMs }, nowMs),
    'grant-invalid',
    /longer than the 24 h/,
  );
  await refused(
    t,
    issueGrant(authority, { ...grantWish, targets: { networks: ['127.1'] } }, nowMs),
    'grant-invalid',
    /targets\.networks\[0\]/,
  );
  await refused(
    t,
    issueGrant(authority, { ...grantWish, terminalKey: 'x' }, nowMs),
    'bad-request',
    /A key is 43 characters/,
  );
  await revokeKeys(authority, [terminal.text], nowMs);
  await refused(
    t,
    issueGrant(authority, grantWish, nowMs),
    'grant-revoked',
    /made for a key that Acme Networks has revoked/,
  );
  t.deepEqual(listGrants(authority, nowMs), []);
});

test('grants are listed with what has become of them, shown, and revoked', async t => {
  const authority = await readyAuthority(t);
  t.deepEqual(listGrants(authority, nowMs), []);
  const old = await issueGrant(authority, { ...grantWish, lifeMs: hourMs }, nowMs);
  const young = await issueGrant(authority, grantWish, nowMs + 2000);
  const status = (atMs: number) => listGrants(authority, atMs).map(each => [each.grant.id, each.status]);
  t.deepEqual(status(nowMs + 3000), [
    [young.id, 'valid'],
    [old.id, 'valid'],
  ]);
  t.deepEqual(status(nowMs + hourMs), [
    [young.id, 'valid'],
    [old.id, 'expired'],
  ]);
  const trust = await revokeGrant(authority, young.id, nowMs + 4000);
  t.deepEqual(status(nowMs + 5000), [
    [young.id, 'revoked'],
    [old.id, 'valid'],
  ]);
  t.true(trust.revokedGrants.has(young.id));
  await refused(
    t,
    verifyGrant(young.text, trust, nowMs + 5000),
    'grant-revoked',
    /has been revoked by Acme Networks/,
  );
  t.is(readGrant(authority, old.id).id, old.id);
  for (const id of ['absent', '../state', '', 'a\0b']) {
    t.throws(() => readGrant(authority, id), { message: /has issued no grant with that id/ });
  }
});

test('a revocation is dropped from the statement once its grant has expired everywhere', async t => {
  const authority = await readyAuthority(t);
  const grant = await issueGrant(authority, { ...grantWish, lifeMs: hourMs }, nowMs);
  t.is((await revokeGrant(authority, grant.id, nowMs)).revokedGrants.size, 1);
  t.is((await issueTrustStatement(authority, {}, nowMs + hourMs)).revokedGrants.size, 1);
  t.is((await issueTrustStatement(authority, {}, nowMs + hourMs + 5 * 60_000)).revokedGrants.size, 0);
});

test('a trust statement that would not travel is refused, and the one before stays', async t => {
  const authority = await readyAuthority(t);
  const revokedKeys = Array.from({ length: 400 }, () => generateSigningKey().text);
  await refused(t, issueTrustStatement(authority, { revokedKeys }, nowMs), 'limit', /16384 are allowed/);
  t.is((await currentTrustStatement(authority))?.seq, 1);
  t.is((await issueTrustStatement(authority, {}, nowMs)).seq, 2);
});
