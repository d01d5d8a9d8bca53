import test, { type ExecutionContext } from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { MemberRegistry } from './member-registry.ts';
import { DocumentsLab } from './testing/documents-lab.ts';

/** P6.2, P6.5: invitations that an inviter has signed, at the server. */

const one = { role: 'mediator', name: 'new-1', labels: ['voip'] } as const;

async function scene(t: ExecutionContext) {
  const lab = await DocumentsLab.make(t);
  const signer = generateSigningKey();
  const notAfter = Math.floor(lab.clock.wallTimeMs() / 1000) + 86_400;
  const inviter = { key: signer.text, name: 'api', notAfter, names: 'new-', labels: ['voip'] };
  await lab.push(await lab.trust({ inviters: [inviter] }));
  const enrol = (invited: Awaited<ReturnType<typeof lab.invite>>, key = generateSigningKey()) =>
    lab.enrol(invited, key, 'mediator');
  return { lab, signer, inviter, enrol };
}

test('a mediator enrols by the code of an inviter, and stays over a restart and the end of the inviter’s time', async t => {
  const { lab, signer, enrol } = await scene(t);
  const gateway = generateSigningKey();
  const statement = await enrol(await lab.invite(one, { signer }), gateway);
  t.like(statement, { name: 'new-1', labels: ['voip'], seq: 0 });
  t.like(lab.audit.at(-2), { action: 'invitation', fields: { signer: signer.text } });
  lab.clock.advance(2 * 86_400_000);
  await lab.restart();
  t.is(lab.documents.refusalOf(gateway.text, 'mediator'), undefined);
});

test('what an inviter signs beyond its bounds is not taken', async t => {
  const { lab, signer } = await scene(t);
  for (const wrong of [
    { ...one, role: 'terminal' as const },
    { ...one, name: 'home-1' },
    { ...one, labels: ['lab'] },
  ])
    await t.throwsAsync(lab.invite(wrong, { signer }), { message: /document-invalid/ });
  await t.throwsAsync(lab.invite(one, { signer, lifeMs: 601_000 }), { message: /document-invalid/ });
  lab.clock.advance(86_400_000);
  await t.throwsAsync(lab.invite(one, { signer }), { message: /document-invalid/ });
});

test('of two codes of an inviter for one name one enrols, and a name of another is not taken', async t => {
  const { lab, signer, enrol } = await scene(t);
  const [first, second] = [await lab.invite(one, { signer }), await lab.invite(one, { signer })];
  await enrol(first);
  await t.throwsAsync(enrol(second), { code: 'name-taken' });
  await lab.push(await lab.member(generateSigningKey(), { ...one, name: 'new-2' }));
  await t.throwsAsync(enrol(await lab.invite({ ...one, name: 'new-2' }, { signer })), { code: 'name-taken' });
});

test('once an inviter is taken back its codes enrol nobody, and who came by it is a member by the authority’s word alone', async t => {
  const { lab, signer, enrol } = await scene(t);
  const [kept, dropped] = [generateSigningKey(), generateSigningKey()];
  await enrol(await lab.invite(one, { signer }), kept);
  await enrol(await lab.invite({ ...one, name: 'new-2' }, { signer }), dropped);
  const unused = await lab.invite({ ...one, name: 'new-3' }, { signer });
  await lab.push(await lab.member(kept, one));
  await lab.push(await lab.trust({ inviters: [] }));
  const check = () => {
    t.is(lab.documents.refusalOf(kept.text, 'mediator'), undefined);
    t.is(lab.documents.refusalOf(dropped.text, 'mediator'), 'not-enrolled');
  };
  check();
  await t.throwsAsync(enrol(unused), { code: 'document-invalid' });
  await lab.restart();
  check();
});

test('with the key of an inviter everything that it has signed is revoked', async t => {
  const { lab, signer, enrol } = await scene(t);
  const gateway = generateSigningKey();
  await enrol(await lab.invite(one, { signer }), gateway);
  const unused = await lab.invite({ ...one, name: 'new-2' }, { signer });
  await lab.push(await lab.trust({ revokedKeys: [signer.text] }));
  t.is(lab.documents.refusalOf(gateway.text, 'mediator'), 'not-enrolled');
  await t.throwsAsync(enrol(unused), { code: 'document-invalid' });
});

test('who enrols while the inviter is taken back is no member', async t => {
  const { lab, signer } = await scene(t);
  const invited = await lab.invite(one, { signer });
  const before = lab.documents.trust();
  await lab.push(await lab.trust({ inviters: [] }));
  let trust = before;
  const { store, clock } = lab;
  const registry = new MemberRegistry({
    store,
    clock,
    log: silentLog(),
    audit: () => {},
    trust: () => trust,
  });
  const key = generateSigningKey();
  const enrolment = await invited.enrolmentFor(key);
  const enrolling = registry.enrol({ key: key.text, role: 'mediator', enrolment });
  // Its signatures are being verified.
  trust = lab.documents.trust();
  await t.throwsAsync(enrolling, { code: 'document-invalid' });
  t.is(store.invitation(invited.key.text)?.usedBy, undefined);
});

test('a code is taken back while nobody has used it, with a line in the audit, and for good', async t => {
  const { lab, signer, enrol } = await scene(t);
  const { invitations } = lab.documents;
  const [unused, used] = [
    await lab.invite(one, { signer }),
    await lab.invite({ ...one, name: 'new-2' }, { signer }),
  ];
  const gateway = generateSigningKey();
  await enrol(used, gateway);
  t.is(invitations.invitationUsedBy(used.key.text), gateway.text);
  t.false(invitations.cancelInvitation(used.key.text, {}));
  t.true(invitations.cancelInvitation(unused.key.text, { token: 'a' }));
  t.like(lab.audit.at(-1), {
    action: 'invitation-cancelled',
    fields: { invitation: unused.key.text, token: 'a' },
  });
  t.false(invitations.cancelInvitation(unused.key.text, {}));
  await t.throwsAsync(enrol(unused), { code: 'code-invalid' });
  await lab.restart();
  await t.throwsAsync(enrol(unused), { code: 'code-invalid' });
});

test('who was shut out does not come back beside who has its name by then, when the inviter is named again', async t => {
  const { lab, signer, inviter, enrol } = await scene(t);
  const [before, after] = [generateSigningKey(), generateSigningKey()];
  await enrol(await lab.invite(one, { signer }), before);
  await lab.push(await lab.trust({ inviters: [] }));
  await enrol(await lab.invite(one), after);
  await lab.push(await lab.trust({ inviters: [inviter] }));
  const keys = () => lab.documents.allMembers().map(({ key }) => key);
  t.deepEqual(keys(), [after.text]);
  await lab.restart();
  t.deepEqual(keys(), [after.text]);
});

test('of a store that has two members of one name one is a member', async t => {
  const { lab, signer, enrol } = await scene(t);
  const [first, second] = [generateSigningKey(), generateSigningKey()];
  await enrol(await lab.invite(one, { signer }), first);
  lab.store.saveMember(second.text, await lab.member(second, one));
  await lab.restart();
  t.deepEqual(
    lab.documents.allMembers().map(({ key }) => key),
    [second.text],
  );
});
