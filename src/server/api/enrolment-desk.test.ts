import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ErrorCode } from '../../base/errors.ts';
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
  const keyPath = join(lab.directory, 'delegate.key');
  const server: { refuses: ErrorCode | undefined } = { refuses: undefined };
  const { documents, clock } = lab;
  const desk = new EnrolmentDesk({
    keyPath,
    issued,
    trust: () => documents.trust(),
    serverPin,
    memberNamed: wanted => documents.allMembers().find(({ name }) => name === wanted),
    invitations: documents.invitations,
    push: async texts =>
      server.refuses === undefined
        ? Promise.all(texts.map(text => documents.accept(text)))
        : texts.map(() => server.refuses),
    audit: (action, fields) => {
      if (lab.auditFails) throw new Error('no space left on device');
      lab.audit.push({ action, fields });
    },
    clock,
  });
  const key = generateSigningKey();
  const invite = async (claims: object = {}) => {
    const notAfter = Math.floor((clock.wallTimeMs() + 90 * dayMs) / 1000);
    const inviter = { key: key.text, name: 'api', notAfter, names: 'new-', labels: ['voip'], ...claims };
    await lab.push(await lab.trust({ inviters: [inviter] }));
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
  return { lab, desk, issued, store, server, ready, invite, enrol, serverPin, keyPath, key };
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

test('a thousand codes of a token may wait at once; those that were used wait no more', async t => {
  const { lab, desk, issued, store, ready, enrol } = await scene(t);
  await ready();
  const made = await desk.issue(token, { name: 'new-1' });
  store.database.exec('BEGIN');
  for (let count = 1; count < 1_000; count++)
    issued.add(token.id, { ...made.invitation, key: `key ${count}` }, lab.clock.wallTimeMs());
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
