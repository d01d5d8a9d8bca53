import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EntremiseError, type ErrorCode } from '../../base/errors.ts';
import { generateSigningKey, saveSigningKey } from '../../base/keys.ts';
import { signEnrolment } from '../../policy/documents.ts';
import { codeIsFor, invitationKeyOf, parseEnrolmentCode } from '../../policy/enrolment-code.ts';
import { DocumentsLab } from '../testing/documents-lab.ts';
import { openApiDatabase } from './api-database.ts';
import { EnrolmentDesk } from './enrolment-desk.ts';
import { IssuedCodes } from './issued-codes.ts';
import type { ApiToken } from './token-store.ts';

/** P6.5: codes that the API makes as an inviter. Its server is real but for the network. */

const dayMs = 86_400_000;
const token: ApiToken = {
  id: '0123456789ab',
  name: 'crm',
  grantId: undefined,
  scopes: ['enrol'],
  createdAtMs: 0,
  expiresAtMs: Number.MAX_SAFE_INTEGER,
  revokedAtMs: undefined,
};

async function scene(t: ExecutionContext) {
  const lab = await DocumentsLab.make(t);
  const store = await openApiDatabase(lab.stateDir);
  const issued = new IssuedCodes(store);
  t.teardown(() => store.database.close());
  const serverPin = lab.documents.trust().serverPins[0] ?? '';
  const pin = { now: serverPin };
  const keyPath = join(lab.directory, 'delegate.key');
  const server: { refuses: ErrorCode | undefined; isAway: boolean } = { refuses: undefined, isAway: false };
  const { documents, clock } = lab;
  const desk = new EnrolmentDesk({
    keyPath,
    issued,
    trust: () => documents.trust(),
    serverPin: () => pin.now,
    memberNamed: wanted => documents.allMembers().find(({ name }) => name === wanted),
    invitations: documents.invitations,
    push: async texts => {
      if (server.isAway) throw new EntremiseError('link-lost');
      if (server.refuses !== undefined) return texts.map(() => server.refuses);
      return Promise.all(texts.map(text => documents.accept(text)));
    },
    audit: (action, fields) => {
      if (lab.auditFails) throw new Error('no space left on device');
      lab.audit.push({ action, fields });
    },
    clock,
  });
  const key = generateSigningKey();
  const invite = async (...entries: object[]) => {
    const notAfter = Math.floor((clock.wallTimeMs() + 90 * dayMs) / 1000);
    const inviter = { key: key.text, name: 'api', notAfter, names: 'new-', labels: ['voip'] };
    const inviters = (entries.length === 0 ? [{}] : entries).map(claims => ({ ...inviter, ...claims }));
    await lab.push(await lab.trust({ inviters }));
  };
  const ready = async (claims: object = {}) => {
    saveSigningKey(keyPath, key);
    await invite(claims);
  };
  /** What a mediator does with a code. */
  const enrol = async (code: string) => {
    const invitationKey = invitationKeyOf(parseEnrolmentCode(code));
    const invited = { code, invitation: '', key: invitationKey };
    const enrolmentFor = (member: { text: string }) =>
      signEnrolment(invitationKey, member.text, clock.wallTimeMs());
    return lab.enrol({ ...invited, enrolmentFor }, generateSigningKey(), 'mediator');
  };
  return { lab, desk, issued, store, server, ready, invite, enrol, serverPin, pin, keyPath, key };
}

test('a code of the API leads to this server and the authority, enrols a mediator once, and is listed without itself', async t => {
  const { lab, desk, ready, enrol, serverPin } = await scene(t);
  await ready();
  const { code, invitation } = await desk.issue(token, { name: 'new-1', labels: ['voip'] });
  t.true(codeIsFor(parseEnrolmentCode(code), serverPin, lab.authority.key.text));
  t.like(desk.list(token), [{ id: invitation.key, name: 'new-1', labels: ['voip'], state: 'pending' }]);
  t.false(JSON.stringify([desk.list(token), lab.audit]).includes(code));
  t.deepEqual(
    lab.audit.slice(-2).map(({ action }) => action),
    ['code-issued', 'invitation'],
  );
  t.like(lab.audit.at(-2)?.fields, { name: 'new-1', token: token.id, tokenName: 'crm' });
  const member = await enrol(code);
  t.like(member, { name: 'new-1', labels: ['voip'] });
  t.like(desk.list(token), [{ state: 'used', usedBy: member.key }]);
  await t.throwsAsync(enrol(code), { code: 'code-used' });
});

test('without a key, without an entry for it, or with another’s, nothing is made', async t => {
  const { lab, desk, invite, keyPath, key } = await scene(t);
  const refused = { message: /This server may invite nobody/ };
  await t.throwsAsync(desk.issue(token, { name: 'new-1' }), refused);
  await invite();
  await t.throwsAsync(desk.issue(token, { name: 'new-1' }), refused);
  saveSigningKey(keyPath, generateSigningKey());
  await t.throwsAsync(desk.issue(token, { name: 'new-1' }), refused);
  await lab.push(await lab.trust({ revokedKeys: [key.text] }));
  await t.throwsAsync(desk.issue(token, { name: 'new-1' }), refused);
  t.false(lab.audit.some(({ action }) => action === 'code-issued'));
});

test('a code lives for 10 min, or as long as the inviter lets it when that is shorter, and never beyond the inviter', async t => {
  const { lab, desk, ready, invite } = await scene(t);
  await ready({ lifeS: 3600 });
  const lifeOf = async (lifeS?: number) => {
    const request = { name: 'new-1', ...(lifeS === undefined ? {} : { lifeS }) };
    const { notAfterMs } = (await desk.issue(token, request)).invitation;
    return notAfterMs - lab.clock.wallTimeMs();
  };
  t.is(await lifeOf(), 600_000);
  t.is(await lifeOf(3600), 3_600_000);
  await t.throwsAsync(lifeOf(3601), { message: /lives longer than the 3600 s/ });
  await invite({ lifeS: 60 });
  t.is(await lifeOf(), 60_000);
  lab.clock.advance(90 * dayMs);
  await t.throwsAsync(lifeOf(), { message: /good for longer than its signer api/ });
});

test('a code lives for as long as an inviter lets it that may give the name, and ends with it', async t => {
  const { lab, desk, ready, invite } = await scene(t);
  await ready();
  const lifeOf = async (name: string) =>
    (await desk.issue(token, { name })).invitation.notAfterMs - lab.clock.wallTimeMs();
  await invite({ lifeS: 3600 }, { name: 'api-2', names: 'flat-', lifeS: 60 });
  t.is(await lifeOf('flat-1'), 60_000);
  await invite({ lifeS: 3600, notAfter: lab.clock.wallTimeMs() / 1000 + 90 });
  t.is(await lifeOf('new-1'), 90_000);
});

test('who asks for a name beyond the inviter is not told whether there is one', async t => {
  const { lab, desk, ready } = await scene(t);
  await ready();
  await lab.push(await lab.member(generateSigningKey(), { name: 'alice' }));
  for (const name of ['alice', 'bob'])
    await t.throwsAsync(desk.issue(token, { name }), { message: /every name that its signer api gives/ });
});

test('who cannot be audited is not invited, and what the server does not take is no code', async t => {
  const { lab, desk, ready, server } = await scene(t);
  await ready();
  lab.auditFails = true;
  await t.throwsAsync(desk.issue(token, { name: 'new-1' }), { message: /no space left/ });
  t.deepEqual(desk.list(token), []);
  lab.auditFails = false;
  server.refuses = 'audit-unavailable';
  await t.throwsAsync(desk.issue(token, { name: 'new-1' }), { code: 'audit-unavailable' });
  t.like(desk.list(token), [{ state: 'cancelled' }]);
  server.isAway = true;
  await t.throwsAsync(desk.issue(token, { name: 'new-2' }), { code: 'link-lost' });
  t.like(desk.list(token), [{ name: 'new-2', state: 'cancelled' }, { name: 'new-1' }]);
});

test('a code that the server or its mediator would refuse is listed so: of an inviter that is gone, for keys of before', async t => {
  const { lab, desk, ready, invite, enrol, pin } = await scene(t);
  await ready();
  const state = () => desk.list(token).map(each => each.state);
  const { code } = await desk.issue(token, { name: 'new-1' });
  await invite({ names: 'other-' });
  t.deepEqual(state(), ['refused']);
  await t.throwsAsync(enrol(code), { code: 'document-invalid' });
  await invite();
  t.deepEqual(state(), ['pending']);
  const keysBefore = pin.now;
  pin.now = generateSigningKey().text;
  await desk.issue(token, { name: 'new-2' });
  t.deepEqual(state(), ['pending', 'refused']);
  pin.now = keysBefore;
  t.deepEqual(state(), ['refused', 'pending']);
  lab.store.forgetInvitation(desk.list(token)[1]?.id ?? '');
  t.deepEqual(state(), ['refused', 'refused'], 'not in a store of before');
});

test('a code is taken back by the token that asked for it, while nobody has used it', async t => {
  const { desk, ready, enrol } = await scene(t);
  await ready();
  const [first, second] = [
    await desk.issue(token, { name: 'new-1' }),
    await desk.issue(token, { name: 'new-2' }),
  ];
  const other = { ...token, id: 'ba9876543210' };
  t.throws(() => desk.cancel(other, first.invitation.key), { message: /asked for no such code/ });
  desk.cancel(token, first.invitation.key);
  await t.throwsAsync(enrol(first.code), { code: 'code-invalid' });
  await enrol(second.code);
  t.throws(() => desk.cancel(token, second.invitation.key), { message: /new-2 has enrolled with it/ });
  t.deepEqual(
    desk.list(token).map(({ name, state }) => [name, state]),
    [
      ['new-2', 'used'],
      ['new-1', 'cancelled'],
    ],
  );
});

test('labels of who came by a code are said anew at once and stay over a restart; of others they are not', async t => {
  const { lab, desk, ready, enrol } = await scene(t);
  await ready();
  const { key } = await enrol((await desk.issue(token, { name: 'new-1' })).code);
  const labels = () => lab.documents.member(key)?.labels;
  t.deepEqual(labels(), []);
  const said = await desk.label(token, 'new-1', ['voip']);
  t.deepEqual([said.labels, labels()], [['voip'], ['voip']]);
  t.like(lab.changes.at(-1), { kind: 'member', key, text: said.text });
  t.like(lab.audit.at(-2), { action: 'labels-issued', fields: { key, labels: ['voip'], token: token.id } });
  await lab.restart();
  t.deepEqual(labels(), ['voip']);
  await t.throwsAsync(desk.label(token, 'new-1', ['demo']), { message: /gives the label demo/ });
  await t.throwsAsync(desk.label(token, 'new-2', []), { message: /no mediator "new-2"/ });
});

test('the API sets no labels of a mediator that the authority speaks for', async t => {
  const { lab, desk, ready } = await scene(t);
  await ready();
  await lab.push(await lab.member(generateSigningKey(), { name: 'new-1', role: 'mediator' }));
  await t.throwsAsync(desk.label(token, 'new-1', ['voip']), { message: /of new-1 is not by this key/ });
  t.false(lab.audit.some(({ action }) => action === 'labels-issued'));
});

test('of labels that are said at the same moment those that count are answered, and what is said already is not said again', async t => {
  const { lab, desk, ready, enrol } = await scene(t);
  await ready({ labels: ['voip', 'lab'] });
  const { key } = await enrol((await desk.issue(token, { name: 'new-1' })).code);
  const labels = [['voip'], ['lab']];
  const answers = await Promise.allSettled(labels.map(each => desk.label(token, 'new-1', each)));
  const said = answers.flatMap(each => (each.status === 'fulfilled' ? [each.value.labels] : []));
  t.deepEqual(said, [lab.documents.member(key)?.labels ?? []]);
  const lines = lab.audit.length;
  t.deepEqual((await desk.label(token, 'new-1', said[0] ?? [])).labels, said[0]);
  t.is(lab.audit.length, lines);
});

test('a code whose name somebody else has come by is listed as refused', async t => {
  const { desk, ready, enrol } = await scene(t);
  await ready();
  const [, second] = [await desk.issue(token, { name: 'new-1' }), await desk.issue(token, { name: 'new-1' })];
  const states = () => desk.list(token).map(({ state }) => state);
  t.deepEqual(states(), ['pending', 'pending']);
  await enrol(second.code);
  t.deepEqual(states(), ['used', 'refused']);
});

test('a thousand codes of a token that are over are listed, however many it has taken back', async t => {
  const { lab, desk, issued, store, ready } = await scene(t);
  await ready();
  const nowMs = lab.clock.wallTimeMs();
  const first = await desk.issue(token, { name: 'new-1', lifeS: 60 });
  const { invitation: waiting } = await desk.issue(token, { name: 'new-2' });
  lab.clock.advance(60_000);
  store.database.exec('BEGIN');
  for (let count = 1; count <= 1_000; count++) {
    issued.add(token.id, { ...first.invitation, key: `key ${count}` }, '', nowMs);
    issued.cancel(`key ${count}`, nowMs);
  }
  store.database.exec('COMMIT');
  t.is(desk.list(token).length, 1_002);
  await desk.issue(token, { name: 'new-3' });
  t.is(desk.list(token).length, 1_002);
  t.is(lab.store.invitation(first.invitation.key), undefined);
  t.like(
    desk.list(token).filter(({ state }) => state !== 'cancelled'),
    [{ name: 'new-3' }, { id: waiting.key }],
  );
});

test('a thousand codes of a token may wait at once; those that were used wait no more', async t => {
  const { lab, desk, issued, store, ready, enrol } = await scene(t);
  await ready();
  const made = await desk.issue(token, { name: 'new-1' });
  store.database.exec('BEGIN');
  for (let count = 1; count < 1_000; count++)
    issued.add(token.id, { ...made.invitation, key: `key ${count}` }, '', lab.clock.wallTimeMs());
  store.database.exec('COMMIT');
  await t.throwsAsync(desk.issue(token, { name: 'new-2' }), { code: 'limit' });
  t.truthy(await desk.issue({ ...token, id: 'ba9876543210' }, { name: 'new-2' }), 'of another token');
  await enrol(made.code);
  t.truthy(await desk.issue(token, { name: 'new-3' }));
  await t.throwsAsync(desk.issue(token, { name: 'new-4' }), { code: 'limit' });
});

test('what is over for a month is forgotten, at the server too, but never who came by what', async t => {
  const { lab, desk, ready, enrol } = await scene(t);
  await ready();
  const [used, unused] = [
    await desk.issue(token, { name: 'new-1' }),
    await desk.issue(token, { name: 'new-2' }),
  ];
  await enrol(used.code);
  lab.clock.advance(29 * dayMs);
  await desk.issue(token, { name: 'new-3' });
  t.is(desk.list(token).length, 3);
  t.truthy(lab.store.invitation(unused.invitation.key));
  lab.clock.advance(2 * dayMs);
  await desk.issue(token, { name: 'new-4' });
  t.deepEqual(
    desk.list(token).map(({ name }) => name),
    ['new-4', 'new-3'],
  );
  t.is(lab.store.invitation(unused.invitation.key), undefined);
  t.truthy(lab.store.invitation(used.invitation.key)?.usedBy);
});
