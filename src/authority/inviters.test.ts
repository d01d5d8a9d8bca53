import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { invitationKeyOf, parseEnrolmentCode } from '../policy/enrolment-code.ts';
import { signInvitation } from '../policy/invite.ts';
import { joinEnrolment, signEnrolment, verifyMemberStatement } from '../policy/member-statement.ts';
import { type TrustStatement, verifyTrustStatement } from '../policy/trust-statement.ts';
import {
  authorityFiles,
  initAuthority,
  issueMemberStatement,
  issueTrustStatement,
  type KnownMember,
  retireKeys,
  rotateKey,
} from './index.ts';
import { addInviter, isInviterKnown, removeInviter } from './inviters.ts';

const nowMs = Date.UTC(2026, 10, 30);
const dayMs = 24 * 3_600_000;
const pin = generateSigningKey().text;
const server = generateSigningKey();
const gateway = generateSigningKey();
const wish = { key: server.text, name: 'api', names: 'new-', labels: ['voip'], lifeMs: 90 * dayMs };

async function scene(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'entremise-inviters-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const authority = initAuthority(join(folder, 'authority'), 'Test Operator');
  await issueTrustStatement(authority, { serverPins: [pin] }, nowMs);
  return authority;
}

/** A mediator that the server's key has invited, as the member itself and as the server lists it. */
async function invite(trust: TrustStatement, name: string) {
  const signer = { key: server, trust, serverPin: pin, authorityKey: trust.signer };
  const identity = { role: 'mediator', name, labels: ['voip'] } as const;
  const { code, invitation } = await signInvitation(signer, identity, 600_000, nowMs);
  const enrolment = await signEnrolment(invitationKeyOf(parseEnrolmentCode(code)), gateway.text, nowMs);
  const text = joinEnrolment(invitation.text, enrolment);
  const listed: KnownMember = { ...identity, key: gateway.text, signer: server.text };
  return { text, listed };
}

test('while there are inviters the authority is not opened by a program that would leave them out', async t => {
  const authority = await scene(t);
  const version = () => JSON.parse(readFileSync(authorityFiles.state(authority.directory), 'utf8')).version;
  t.is(version(), 1);
  await addInviter(authority, wish, [], nowMs);
  t.is(version(), 2);
  t.true(isInviterKnown(authority, 'api'));
  await removeInviter(authority, 'api', [], nowMs);
  t.is(version(), 1);
});

test('who came by an inviter rests on it also when the authority’s key is another, and beyond its bounds is signed anew', async t => {
  const authority = await scene(t);
  const { trust } = await addInviter(authority, wish, [], nowMs);
  const { text, listed } = await invite(trust, 'new-1');
  const elsewhere = { ...listed, key: generateSigningKey().text, name: 'home-1' };
  const rotated = await rotateKey(authority.directory, [listed, elsewhere], nowMs);
  t.is(rotated.members, 1);
  const retired = await retireKeys(rotated.authority, [listed], nowMs, false);
  const after = await verifyTrustStatement(retired.documents.at(-1) ?? '', rotated.authority.publicKeys);
  t.like(await verifyMemberStatement(text, after), { name: 'new-1', signer: server.text });
  const word = await verifyMemberStatement(rotated.documents[1] ?? '', after);
  t.like(word, { name: 'home-1', key: elsewhere.key });
});

test('an inviter is named, and before it goes the authority itself says who came by it', async t => {
  const authority = await scene(t);
  const { trust, signedAnew } = await addInviter(authority, wish, [], nowMs);
  t.deepEqual(signedAnew, []);
  t.like(trust.inviters[0], { name: 'api', names: 'new-', labels: ['voip'], lifeMs: 600_000 });
  t.true(isInviterKnown(authority, 'api'));
  const { text, listed } = await invite(trust, 'new-1');
  t.is((await verifyMemberStatement(text, trust)).name, 'new-1');
  const removed = await removeInviter(authority, 'api', [listed], nowMs);
  t.deepEqual(removed.signedAnew, ['new-1']);
  t.deepEqual(removed.trust.inviters, []);
  await t.throwsAsync(verifyMemberStatement(text, removed.trust), { code: 'document-invalid' });
  const [word = '', last = ''] = removed.documents;
  t.is(last, removed.trust.text, 'the statement that takes it back comes last');
  t.like(await verifyMemberStatement(word, removed.trust), {
    key: gateway.text,
    name: 'new-1',
    labels: ['voip'],
  });
  t.is(
    readFileSync(authorityFiles.inviter(authority.directory), 'utf8'),
    `${removed.documents.join('\n')}\n`,
  );
});

test('without its members an inviter is taken back with them: a thief may have made them', async t => {
  const authority = await scene(t);
  const { trust } = await addInviter(authority, wish, [], nowMs);
  const { text } = await invite(trust, 'new-1');
  const removed = await removeInviter(authority, 'api', [], nowMs);
  t.is(removed.documents.length, 1);
  await t.throwsAsync(verifyMemberStatement(text, removed.trust), { code: 'document-invalid' });
});

test('a list of members that a server made up names nobody whom the inviter could not have invited', async t => {
  const authority = await scene(t);
  const { trust } = await addInviter(authority, wish, [], nowMs);
  const { listed } = await invite(trust, 'new-1');
  const lies: KnownMember[] = [
    { ...listed, role: 'terminal' },
    { ...listed, name: 'home-1' },
    { ...listed, labels: ['voip', 'region:north'] },
    { ...listed, signer: authority.key.text },
  ];
  t.deepEqual((await removeInviter(authority, 'api', lies, nowMs)).signedAnew, []);
});

test('a list of members that a server made up makes of nobody another whom the authority has spoken for', async t => {
  const authority = await scene(t);
  const { trust } = await addInviter(authority, wish, [], nowMs);
  const { listed } = await invite(trust, 'new-1');
  const said = { role: 'mediator', name: 'new-1', labels: [] } as const;
  await issueMemberStatement(authority, listed.key, said, nowMs);
  const lies = [listed, { ...listed, name: 'new-2', labels: [] }];
  t.deepEqual((await addInviter(authority, { ...wish, labels: [] }, lies, nowMs)).signedAnew, []);
  const undelivered = { ...listed, labels: [] };
  t.deepEqual((await removeInviter(authority, 'api', [...lies, undelivered], nowMs)).signedAnew, ['new-1']);
});

test('an inviter that is bound otherwise leaves nobody behind', async t => {
  const authority = await scene(t);
  const { trust } = await addInviter(authority, wish, [], nowMs);
  const { listed } = await invite(trust, 'new-1');
  const narrower = await addInviter(authority, { ...wish, labels: [], codeLifeMs: 60_000 }, [listed], nowMs);
  t.deepEqual(narrower.signedAnew, ['new-1']);
  t.deepEqual(
    narrower.trust.inviters.map(({ name, labels, lifeMs }) => [name, labels, lifeMs]),
    [['api', [], 60_000]],
  );
  t.like(await verifyMemberStatement(narrower.documents[0] ?? '', narrower.trust), { labels: ['voip'] });
});

test('an inviter that is bound no closer keeps whom it has invited; whatever is shorter, narrower or by another key does not', async t => {
  const authority = await scene(t);
  const longer = { ...wish, labels: ['voip', 'lab'], codeLifeMs: 3_600_000, lifeMs: 200 * dayMs };
  const changes: readonly (readonly [Partial<typeof longer>, readonly string[]])[] = [
    [{}, []],
    [{ names: 'new' }, []],
    [{ lifeMs: 199 * dayMs }, ['new-1']],
    [{ codeLifeMs: 60_000 }, ['new-1']],
    [{ labels: ['lab'] }, ['new-1']],
    [{ names: 'newer-' }, ['new-1']],
    [{ key: generateSigningKey().text }, ['new-1']],
  ];
  for (const [bounds, signedAnew] of changes) {
    const { trust } = await addInviter(authority, { ...longer, codeLifeMs: 3_600_000 }, [], nowMs);
    const { text, listed } = await invite(trust, 'new-1');
    const after = await addInviter(authority, { ...longer, ...bounds }, [listed], nowMs);
    t.deepEqual(after.signedAnew, signedAnew, JSON.stringify(bounds));
    const word = signedAnew.length === 0 ? text : (after.documents[0] ?? '');
    t.is((await verifyMemberStatement(word, after.trust)).name, 'new-1');
  }
});

test('an inviter stays in the statement when its time is over, until it is removed', async t => {
  const authority = await scene(t);
  await addInviter(authority, wish, [], nowMs);
  const later = await issueTrustStatement(authority, {}, nowMs + 100 * dayMs);
  t.deepEqual(
    later.inviters.map(({ name }) => name),
    ['api'],
  );
});

test('what no member would understand is not signed, nor the authority’s own key', async t => {
  const authority = await scene(t);
  await t.throwsAsync(addInviter(authority, { ...wish, names: '' }, [], nowMs), { code: 'document-invalid' });
  await t.throwsAsync(addInviter(authority, { ...wish, key: authority.key.text }, [], nowMs), {
    code: 'bad-usage',
  });
  await t.throwsAsync(removeInviter(authority, 'nobody', [], nowMs), {
    code: 'bad-usage',
    message: /no inviter "nobody"/,
  });
});
