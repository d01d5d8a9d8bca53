import test from 'ava';
import { EntremiseError } from '../base/errors.ts';
import { generateSigningKey } from '../base/keys.ts';
import { joinEnrolment } from '../policy/documents.ts';
import { DocumentsLab } from './testing/documents-lab.ts';

const one = { name: 'laptop' };

test('P6.5: of two keys that use a code at the same moment one is enrolled, the other is told code-used', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite(one);
  const tries = await Promise.allSettled([
    lab.enrol(invited, generateSigningKey()),
    lab.enrol(invited, generateSigningKey()),
  ]);
  const refused = tries.flatMap(each => (each.status === 'rejected' ? [each.reason] : []));
  t.is(refused.length, 1);
  t.like(refused[0], { code: 'code-used' });
  t.is(lab.documents.allMembers().length, 1);
});

test('P6.5: the store lets a code be used by one key only, whatever the process above it believes', async t => {
  const lab = await DocumentsLab.make(t);
  const { key } = await lab.invite(one);
  lab.store.enrol(key.text, 'first', 'text', 1);
  lab.store.enrol(key.text, 'first', 'text', 1);
  t.throws(() => lab.store.enrol(key.text, 'second', 'text', 1), { code: 'code-used' });
  t.is(lab.store.invitation(key.text)?.usedBy, 'first');
  t.deepEqual(lab.store.members(), ['text']);
});

test('P6.5: a used code stays used over a restart, also after its member was revoked', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite(one);
  const member = generateSigningKey();
  await lab.enrol(invited, member);
  await lab.restart();
  await t.throwsAsync(lab.enrol(invited, generateSigningKey()), { code: 'code-used' });
  await lab.push(await lab.trust({ revokedKeys: [member.text] }));
  await t.throwsAsync(lab.enrol(invited, generateSigningKey()), { code: 'code-used' });
  await t.throwsAsync(lab.enrol(invited, member), { code: 'key-revoked' });
});

test('P6.5: who was enrolled and did not hear of it may say it again, also when the code is too old', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite(one);
  const member = generateSigningKey();
  const first = await lab.enrol(invited, member);
  lab.clock.advance(3_600_000);
  t.is((await lab.enrol(invited, member)).text, first.text);
  t.is(lab.audit.filter(({ action }) => action === 'enrol').length, 1);
});

test('P6.5: a code too old, of nobody, or for another key enrols nobody and is not used up', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite(one, { lifeMs: 60_000 });
  const member = generateSigningKey();
  const stranger = await lab.invite(one, { unknown: true });
  await t.throwsAsync(lab.enrol(stranger, member), { code: 'code-invalid' });
  const enrolment = await invited.enrolmentFor(generateSigningKey());
  await t.throwsAsync(lab.documents.enrol({ key: member.text, role: 'terminal', enrolment }), {
    code: 'document-invalid',
  });
  for (const garbage of ['', '.', 'a.b.c', '~', 'x'.repeat(8000), `${enrolment}~${enrolment}`])
    await t.throwsAsync(lab.documents.enrol({ key: member.text, role: 'terminal', enrolment: garbage }), {
      instanceOf: EntremiseError,
    });
  lab.clock.advance(61_000);
  await t.throwsAsync(lab.enrol(invited, member), { code: 'code-expired' });
  t.is(lab.store.invitation(invited.key.text)?.usedBy, undefined);
  t.is(lab.documents.allMembers().length, 0);
});

test('a code of the other role is refused and stays good for the right one', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite({ name: 'gw-1', role: 'mediator' });
  await t.throwsAsync(lab.enrol(invited, generateSigningKey(), 'terminal'), {
    code: 'code-invalid',
    message: /for a mediator \(gw-1\), not for a terminal/,
  });
  const gateway = generateSigningKey();
  t.is((await lab.enrol(invited, gateway, 'mediator')).key, gateway.text);
});

test('P6.5: what a code signs counts by PROOF only: brought as a document it enrols nobody', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite(one);
  const second = generateSigningKey();
  const forged = async () => joinEnrolment(invited.invitation, await invited.enrolmentFor(second));
  t.is(await lab.documents.accept(await forged()), 'code-invalid');
  const member = generateSigningKey();
  const own = await lab.enrol(invited, member);
  t.is(await lab.documents.accept(await forged()), 'code-used');
  t.is(await lab.documents.accept(own.text), undefined);
  // The holder of a code was thrown out, and tries to come back under another key.
  await lab.push(await lab.trust({ revokedKeys: [member.text] }));
  t.is(await lab.documents.accept(await forged()), 'code-used');
  t.deepEqual(lab.documents.allMembers(), []);
});

test('P6.2: names are unique: two codes for one name enrol one member, and the other code is not used up', async t => {
  const lab = await DocumentsLab.make(t);
  const [first, second] = [await lab.invite(one), await lab.invite(one)];
  const member = generateSigningKey();
  await lab.enrol(first, member);
  await t.throwsAsync(lab.enrol(second, generateSigningKey()), { code: 'name-taken' });
  await lab.push(await lab.trust({ revokedKeys: [member.text] }));
  const replacement = generateSigningKey();
  t.is((await lab.enrol(second, replacement)).key, replacement.text);
});

test('P6.2: when the authority gives a name to another key, the old key is no member any more, after a restart too', async t => {
  const lab = await DocumentsLab.make(t);
  const [old, fresh] = [generateSigningKey(), generateSigningKey()];
  await lab.push(await lab.member(old, { name: 'gw-1', role: 'mediator' }));
  await lab.push(await lab.member(fresh, { name: 'gw-1', role: 'mediator' }));
  const check = () => {
    t.deepEqual(
      lab.documents.allMembers().map(({ key }) => key),
      [fresh.text],
    );
    t.is(lab.documents.refusalOf(old.text, 'mediator'), 'not-enrolled');
    t.is(lab.documents.refusalOf(fresh.text, 'mediator'), undefined);
  };
  check();
  t.like(lab.audit.at(-1), { action: 'member', fields: { key: fresh.text, displaced: old.text } });
  await lab.restart();
  check();
});

test('P6.2: an older statement of the authority changes nothing', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  const older = await lab.member(key, { name: 'gw-1', role: 'mediator', labels: ['old'] });
  const newer = await lab.member(key, { name: 'gw-1', role: 'mediator', labels: ['new'] });
  await Promise.all([lab.push(newer), lab.push(older)]);
  await lab.push(older);
  t.deepEqual(lab.documents.member(key.text)?.labels, ['new']);
});

test('P6.2: a key that the authority makes something else loses its link in the old role', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  await lab.push(await lab.member(key, { name: 'one', role: 'mediator' }));
  t.is(lab.documents.refusalOf(key.text, 'mediator'), undefined);
  await lab.push(await lab.member(key, { name: 'one', role: 'terminal' }));
  t.is(lab.documents.refusalOf(key.text, 'mediator'), 'not-enrolled');
});

test('P6.5: with the key of its invitation a member is revoked, whatever else it enrolled', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite(one);
  const member = generateSigningKey();
  await lab.enrol(invited, member);
  await lab.push(await lab.trust({ revokedKeys: [invited.key.text] }));
  t.is(lab.documents.refusalOf(member.text, 'terminal'), 'not-enrolled');
  await t.throwsAsync(lab.enrol(invited, member), { code: 'key-revoked' });
  const unused = await lab.invite({ name: 'other' });
  await lab.push(await lab.trust({ revokedKeys: [unused.key.text] }));
  await t.throwsAsync(lab.enrol(unused, generateSigningKey()), { code: 'key-revoked' });
});

test('P6.9: who cannot be audited is not enrolled, and the code is not used up', async t => {
  const lab = await DocumentsLab.make(t);
  const invited = await lab.invite(one);
  const member = generateSigningKey();
  lab.auditFails = true;
  await t.throwsAsync(lab.enrol(invited, member), { message: /no space left/ });
  t.is(lab.documents.member(member.text), undefined);
  lab.auditFails = false;
  t.is((await lab.enrol(invited, member)).name, 'laptop');
});
