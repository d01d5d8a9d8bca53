import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { DocumentsLab } from './testing/documents-lab.ts';
import { TestAuthority } from './testing/test-authority.ts';

const gateway = { name: 'gw-1', role: 'mediator', labels: ['lab'] } as const;

test('P6.2: an older trust statement changes nothing, also after a restart', async t => {
  const lab = await DocumentsLab.make(t);
  const member = generateSigningKey();
  const before = await lab.trust();
  await lab.push(await lab.trust({ revokedKeys: [member.text] }));
  await lab.push(before);
  t.is(lab.documents.trustSeq, 3);
  await lab.restart();
  await lab.push(before);
  t.is(lab.documents.trustSeq, 3);
  t.is(lab.documents.refusalOf(member.text, 'terminal'), 'key-revoked');
  t.is(lab.changes.filter(({ kind }) => kind === 'trust').length, 2);
});

test('P6.2: another operator says nothing here: neither trust, members, invitations nor grants', async t => {
  const lab = await DocumentsLab.make(t);
  const other = new TestAuthority();
  const nowMs = lab.clock.wallTimeMs();
  const key = generateSigningKey();
  await other.trust({ serverPins: [key.text] }, nowMs);
  const { invitation } = await other.invite({ role: 'terminal', name: 'x', labels: [] }, nowMs, 60_000);
  const foreign = [
    await other.trust({ serverPins: [key.text], seq: 99 }, nowMs),
    await other.member(key.text, { role: 'mediator', name: 'x', labels: [] }, nowMs),
    await other.grant(key.text, {}, nowMs),
    invitation,
  ];
  const codes = [];
  for (const text of foreign) codes.push(await lab.documents.accept(text));
  t.deepEqual(codes, ['document-invalid', 'document-invalid', 'grant-invalid', 'document-invalid']);
  t.is(await lab.documents.accept(await lab.trust({ operator: 'Somebody Else' })), 'document-invalid');
  t.is(lab.documents.trustSeq, 1);
  t.is(lab.audit.length, 1);
});

test('P6.2: before its first trust statement a server takes no other document', async t => {
  const lab = await DocumentsLab.make(t, { untrusted: true });
  const key = generateSigningKey();
  for (const text of [await lab.member(key, gateway), await lab.grant(key)])
    t.is(await lab.documents.accept(text), 'not-enrolled');
  t.is(lab.documents.refusalOf(key.text, 'mediator'), 'not-enrolled');
  t.is(lab.documents.trustSeq, 0);
});

test('P6.2: what a withdrawn key of the authority said of members counts no more, nor do its grants', async t => {
  const lab = await DocumentsLab.make(t);
  const [kept, lost] = [generateSigningKey(), generateSigningKey()];
  await lab.push(await lab.trust({ withSuccessor: true }));
  await lab.push(await lab.member(kept, { name: 'kept' }));
  const { authority, clock } = lab;
  const identity = { role: 'terminal', name: 'lost', labels: [] } as const;
  await lab.push(await authority.member(lost.text, identity, clock.wallTimeMs(), authority.successor));
  t.is(lab.documents.allMembers().length, 2);
  await lab.push(await lab.trust());
  t.deepEqual(
    lab.documents.allMembers().map(({ name }) => name),
    ['kept'],
  );
});

test('a revocation counts although the audit cannot be written; anything that allows does not', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  lab.auditFails = true;
  await lab.push(await lab.trust({ revokedKeys: [key.text] }));
  t.is(lab.documents.refusalOf(key.text, 'terminal'), 'key-revoked');
  const other = generateSigningKey();
  for (const text of [await lab.member(other, gateway), await lab.grant(other)])
    t.is(await lab.documents.accept(text), 'internal');
  t.deepEqual(lab.documents.allMembers(), []);
  t.deepEqual(lab.documents.grantsOf(other.text), []);
  t.deepEqual([...lab.store.members(), ...lab.store.grants(lab.clock.wallTimeMs())], []);
});

test('P1.8, P6.3: a terminal knows the mediators that its own grants in time name, and no other', async t => {
  const lab = await DocumentsLab.make(t);
  const [mediator, other, mine, theirs] = [1, 2, 3, 4].map(() => generateSigningKey());
  if (mediator === undefined || other === undefined || mine === undefined || theirs === undefined) return;
  await lab.push(await lab.member(mediator, gateway));
  await lab.push(await lab.member(other, { name: 'gw-2', role: 'mediator' }));
  await lab.push(await lab.member(mine, { name: 'laptop', labels: ['lab'] }));
  await lab.push(await lab.grant(mine));
  await lab.push(await lab.grant(theirs, { mediators: [{ name: 'gw-2' }] }));
  const known = (key: { text: string }) => lab.documents.mediatorsKnownTo(key.text).map(({ name }) => name);
  t.deepEqual([known(mine), known(theirs), known(other)], [['gw-1'], ['gw-2'], []]);
  const statement = lab.documents.member(mediator.text);
  t.is(statement && lab.documents.mayKnow(mine.text, statement), true);
  t.is(statement && lab.documents.mayKnow(theirs.text, statement), false);
  lab.clock.advance(3_600_000);
  t.deepEqual(known(mine), []);
  t.deepEqual(lab.documents.grantsOf(mine.text), []);
});

test('P6.2, P6.3: a revoked grant opens nothing, is refused when it comes again, and survives no restart', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  const text = await lab.grant(key, { jti: 'grant-one' });
  await lab.push(text);
  t.deepEqual(
    lab.documents.grantsOf(key.text).map(({ id }) => id),
    ['grant-one'],
  );
  await lab.push(await lab.trust({ revokedGrants: ['grant-one'] }));
  t.deepEqual(lab.documents.grantsOf(key.text), []);
  t.is(await lab.documents.accept(text), 'grant-revoked');
  await lab.restart();
  t.deepEqual(lab.documents.grantsOf(key.text), []);
  t.is(await lab.documents.accept(text), 'grant-revoked');
});

test('grants that are over are forgotten, in memory at once and on disk after a day', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  const text = await lab.grant(key);
  await lab.push(text);
  lab.clock.advance(2 * 3_600_000);
  t.is(await lab.documents.accept(text), 'grant-expired');
  t.is(lab.store.grants(lab.clock.wallTimeMs()).length, 1);
  lab.clock.advance(24 * 3_600_000);
  await lab.restart();
  t.is(lab.store.grants(lab.clock.wallTimeMs()).length, 0);
});

test('a document that cannot be read at all is refused, whatever it is', async t => {
  const lab = await DocumentsLab.make(t);
  const deep = Buffer.from(`${'['.repeat(5000)}${']'.repeat(5000)}`).toString('base64url');
  const garbage = ['', '~', '.', '...', 'x'.repeat(16_384), '\u0000', `${deep}.${deep}.${'A'.repeat(86)}`];
  const names = { '{"typ":"entremise-trust+jwt"}': 1, '{"typ":["entremise-grant+jwt"]}': 2, null: 3 };
  const headers = Object.keys(names).map(
    text => `${Buffer.from(text).toString('base64url')}.e30.${'A'.repeat(86)}`,
  );
  for (const text of [...garbage, ...headers]) t.is(await lab.documents.accept(text), 'document-invalid');
});

test('the trust statement of a damaged store stops the server with what to do', async t => {
  const lab = await DocumentsLab.make(t);
  const text = lab.store.trust() ?? '';
  lab.store.saveTrust(text.slice(0, -3));
  await t.throwsAsync(lab.restart(), { code: 'state-unreadable', message: /backup/ });
  lab.store.saveTrust('nonsense');
  await t.throwsAsync(lab.restart(), { code: 'state-unreadable', message: /backup/ });
  lab.store.saveTrust(text);
  await lab.restart();
  t.is(lab.documents.trustSeq, 1);
});

test('a stored member or grant that is damaged is left out, the others stay', async t => {
  const lab = await DocumentsLab.make(t);
  const key = generateSigningKey();
  await lab.push(await lab.member(key, { name: 'laptop' }));
  await lab.push(await lab.grant(key));
  lab.store.saveMember('broken', 'broken');
  lab.store.saveGrant('broken', 'broken', lab.clock.wallTimeMs() + 1000);
  await lab.restart();
  t.is(lab.documents.allMembers().length, 1);
  t.is(lab.documents.grantsOf(key.text).length, 1);
});

test('P6.2: whoever missed changes of the authority gets the statements that lead to the one in force, also after a restart', async t => {
  const lab = await DocumentsLab.make(t);
  const { authority } = lab;
  const third = generateSigningKey();
  const [first, second] = [authority.key.text, authority.successor.text];
  await lab.push(await lab.trust({ authorityKeys: [first, second] }));
  await lab.push(await lab.trust({ authorityKeys: [first, second], serverPins: [third.text] }));
  const turn = { signer: authority.successor };
  const over = await lab.trust({ authorityKeys: [second, third.text, first], ...turn });
  const alone = await lab.trust({ authorityKeys: [second, third.text], ...turn });
  await lab.push(over);
  await lab.push(alone);
  await lab.push(await lab.trust({ authorityKeys: [second, third.text], revokedKeys: [first], ...turn }));
  const way = lab.documents.trustWay();
  t.is(way.length, 4);
  t.deepEqual(way.slice(1, 3), [over, alone]);
  t.is(lab.documents.authorityKey, second);
  await lab.restart();
  t.deepEqual(lab.documents.trustWay(), way);
  t.is(await lab.documents.accept(await lab.trust({ authorityKeys: [first] })), 'document-invalid');
});
