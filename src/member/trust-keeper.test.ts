import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { generateSigningKey, keyThumbprint } from '../base/keys.ts';
import { silentLog } from '../base/log.ts';
import { invitationRules, joinEnrolment, signEnrolment } from '../policy/documents.ts';
import { signJws } from '../policy/jws.ts';
import { MemberLab } from './testing/operator.ts';
import { TrustKeeper } from './trust-keeper.ts';

function keeperOf({ directory, clock }: MemberLab): Promise<TrustKeeper> {
  return TrustKeeper.load({ directory, clock, log: silentLog() });
}

const revokedGrant = (jti: string) => ({ revokedGrants: [{ jti, exp: 4_000_000_000 }] });

test('P6.2: the highest seq is kept, on disk too, whatever order and however often statements come', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  const [second, third] = [await lab.trust(2), await lab.trust(3)];
  const outcomes = await Promise.all([
    keeper.accept([third]),
    keeper.accept([second]),
    keeper.accept([third]),
  ]);
  t.deepEqual(outcomes.flat(), [undefined, undefined, undefined]);
  t.is(keeper.current.seq, 3);
  t.is((await keeperOf(lab)).current.seq, 3);
});

test('P6.2: another operator, a foreign key and a wrong signature change nothing', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  let changes = 0;
  keeper.onChange(() => changes++);
  const foreign = generateSigningKey();
  const good = await lab.trust(9);
  const wrong = [
    await lab.trust(9, { operator: 'Somebody Else' }),
    await lab.trust(9, { authorityKeys: [foreign.text] }, foreign),
    `${good.slice(0, -10)}AAAAAAAAAA`,
    await lab.statement(9, {}, foreign),
    'nonsense',
    '',
  ];
  const outcomes = await keeper.accept(wrong);
  t.deepEqual([...new Set(outcomes)], ['document-invalid']);
  t.deepEqual([keeper.current.seq, keeper.own.seq, changes], [1, 1, 0]);
});

test('P6.2: statements and grants that come one behind the other see the keys of those before them', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  const both = { authorityKeys: [lab.authority.text, lab.successor.text] };
  const outcomes = await Promise.all([
    keeper.accept([await lab.trust(2, both)]),
    keeper.accept([await lab.grant('by-successor', {}, lab.successor)]),
  ]);
  t.deepEqual(outcomes, [[undefined], [undefined]]);
});

test('P6.2: a revocation counts and is told although the disk does not take it', async t => {
  const lab = await MemberLab.make(t);
  await lab.directory.saveGrant('grant-one', await lab.grant('grant-one'));
  const keeper = await keeperOf(lab);
  t.is(keeper.grants.length, 1);
  lab.directory.saveMembership = () => {
    throw new Error('no space left on device');
  };
  let told = 0;
  keeper.onChange(() => told++);
  t.deepEqual(await keeper.accept([await lab.trust(2, revokedGrant('grant-one'))]), [undefined]);
  t.deepEqual([keeper.current.seq, keeper.grants.length, told], [2, 0, 1]);
});

test('P6.2: what goes wrong in one listener keeps no other from being told', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  let told = 0;
  keeper.onChange(() => {
    throw new Error('a fault');
  });
  const stop = keeper.onChange(() => told++);
  await keeper.accept([await lab.trust(2)]);
  stop();
  await keeper.accept([await lab.trust(3)]);
  t.is(told, 1);
});

test('P6.3: a member keeps its own grants and nobody else’s, in memory and on disk', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  const jkt = keyThumbprint(generateSigningKey().publicKey);
  const own = await lab.grant('grant-own');
  const outcomes = await keeper.accept([own, await lab.grant('grant-other', { cnf: { jkt } }), own]);
  t.deepEqual(outcomes, [undefined, 'grant-invalid', undefined]);
  t.deepEqual(
    keeper.grants.map(({ id }) => id),
    ['grant-own'],
  );
  t.deepEqual(readdirSync(join(lab.directory.path, 'grants')), ['grant-own.jwt']);
});

test('P6.3: a grant that is over is no grant any more, although nobody said so', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  await keeper.accept([await lab.grant('grant-one')]);
  lab.clock.advance(3_599_000);
  t.is(keeper.grants.length, 1);
  lab.clock.advance(1_000);
  t.is(keeper.grants.length, 0);
  t.is((await keeperOf(lab)).grants.length, 0);
});

test('P6.2: grants go with the key of the authority that signed them', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  await keeper.accept([
    await lab.trust(2, { authorityKeys: [lab.authority.text, lab.successor.text] }),
    await lab.grant('by-successor', {}, lab.successor),
    await lab.grant('by-authority'),
  ]);
  t.is(keeper.grants.length, 2);
  await keeper.accept([await lab.trust(3)]);
  t.deepEqual(
    keeper.grants.map(({ id }) => id),
    ['by-authority'],
  );
});

test('P6.2: of its own statements the newest is believed; those of others are not taken for its own', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  const other = generateSigningKey().text;
  await keeper.accept([
    await lab.statement(3, { name: 'renamed', labels: ['new'] }),
    await lab.statement(2, { name: 'older' }),
    await lab.statement(9, { name: 'other', key: other }),
  ]);
  t.is(keeper.own.name, 'renamed');
  t.like((await keeperOf(lab)).own, { name: 'renamed', labels: ['new'] });
  t.is(lab.directory.membership()?.name, 'renamed');
});

test('P6.2: a member that came by an inviter believes later labels of its, and the authority above all', async t => {
  const lab = await MemberLab.make(t);
  const [inviter, code] = [generateSigningKey(), generateSigningKey()];
  const nowS = lab.clock.wallTimeMs() / 1000;
  const entry = {
    key: inviter.text,
    name: 'api',
    notAfter: nowS + 86_400,
    names: 'new-',
    labels: ['voip', 'lab'],
  };
  const enrolment = await signEnrolment(code, lab.key.text, nowS * 1000);
  const invited = async (labels: readonly string[], afterS: number) => {
    const iat = nowS + afterS;
    const claims = { key: code.text, role: 'mediator', name: 'new-1', labels, iat, notAfter: iat + 1 };
    return joinEnrolment(await signJws(invitationRules.typ, claims, inviter), enrolment);
  };
  const trust = await lab.trust(1, { inviters: [entry] });
  const [first, second] = [await invited([], 0), await invited(['voip'], 60)];
  lab.directory.saveMembership({ ...lab.directory.requireMembership(), trust, statement: first });
  const keeper = await keeperOf(lab);
  await keeper.accept([second, first]);
  t.deepEqual(keeper.own.labels, ['voip']);
  const again = await keeperOf(lab);
  t.deepEqual(again.own.labels, ['voip']);
  t.deepEqual(await again.accept([await invited(['demo'], 120)]), ['document-invalid']);
  await again.accept([
    await lab.statement(1, { role: 'mediator', name: 'new-1' }),
    await invited(['lab'], 180),
  ]);
  t.deepEqual(again.own.labels, []);
});

test('P6.7: time goes forward with what was verified and with the server’s, and never back', async t => {
  const lab = await MemberLab.make(t);
  const keeper = await keeperOf(lab);
  const startMs = lab.clock.wallTimeMs();
  t.is(keeper.timeMs(), startMs);
  keeper.learnTime(startMs + 60_000);
  keeper.learnTime(startMs - 60_000);
  keeper.learnTime(Number.NaN);
  t.is(keeper.timeMs(), startMs + 60_000);
  await keeper.accept([await lab.trust(2, { iat: startMs / 1000 + 7200 })]);
  t.is(keeper.timeMs(), startMs + 7_200_000);
  t.deepEqual(await keeper.accept([await lab.grant('much-too-old')]), ['grant-expired']);
});

test('P6.7: a box whose clock stands still in 1970 believes the newest document it has kept', async t => {
  const lab = await MemberLab.make(t);
  const issuedMs = lab.clock.wallTimeMs();
  const asleep = { ...lab.clock, wallTimeMs: () => 0 };
  const keeper = await TrustKeeper.load({ directory: lab.directory, clock: asleep, log: silentLog() });
  t.is(keeper.timeMs(), issuedMs);
});

test('a directory that is not enrolled, damaged or revoked says so', async t => {
  const lab = await MemberLab.make(t);
  const { directory } = lab;
  const membership = directory.requireMembership();
  const load = () => keeperOf(lab);
  directory.saveMembership({ ...membership, trust: 'nonsense' });
  await t.throwsAsync(load(), { code: 'state-unreadable', message: /enrol again/ });
  const statement = await lab.statement(1);
  directory.saveMembership({ ...membership, statement: `${statement.slice(0, -10)}AAAAAAAAAA` });
  await t.throwsAsync(load(), { code: 'document-invalid' });
  directory.saveMembership({ ...membership, trust: await lab.trust(2, { revokedKeys: [lab.key.text] }) });
  await t.throwsAsync(load(), { code: 'key-revoked' });
  for (const text of ['{', '[]', '{"role":"king"}', '']) {
    writeFileSync(join(directory.path, 'membership.json'), text);
    await t.throwsAsync(load(), { code: 'state-unreadable', message: /membership\.json is damaged/ });
  }
});

test('a damaged grant on disk hides no other', async t => {
  const lab = await MemberLab.make(t);
  lab.directory.saveGrant('grant-one', await lab.grant('grant-one'));
  lab.directory.saveGrant('grant-two', 'nonsense');
  t.is((await keeperOf(lab)).grants.length, 1);
});

test('P6.2: a member that missed several changes of the authority is led through them, and its own statement follows', async t => {
  const lab = await MemberLab.make(t);
  const [third, fourth] = [generateSigningKey(), generateSigningKey()];
  const keys = (...each: { readonly text: string }[]) => ({ authorityKeys: each.map(({ text }) => text) });
  // As it enrolled: the first key, and the one that will follow it.
  const begun = await lab.trust(1, keys(lab.authority, lab.successor));
  lab.directory.saveMembership({ ...lab.directory.requireMembership(), trust: begun });
  const way = [
    begun,
    await lab.trust(2, keys(lab.successor, third, lab.authority), lab.successor),
    await lab.trust(3, { ...keys(lab.successor, third), revokedKeys: [lab.authority.text] }, lab.successor),
    await lab.trust(4, keys(third, fourth), third),
  ];
  const keeper = await keeperOf(lab);
  t.deepEqual(await keeper.accept([way[3] ?? '']), ['document-invalid'], 'alone it is of a stranger');
  t.deepEqual(await keeper.accept(way), [undefined, undefined, undefined, undefined]);
  t.is(keeper.current.seq, 4);
  // It ends before the server has sent its own statement anew.
  const again = await keeperOf(lab);
  t.deepEqual([again.current.seq, again.own.seq], [4, 1]);
  t.deepEqual(await again.accept([await lab.statement(2, {}, lab.authority)]), ['document-invalid']);
  t.deepEqual(await again.accept([await lab.statement(2, {}, third)]), [undefined]);
  t.is((await keeperOf(lab)).own.seq, 2);
  const stolen = await lab.trust(9, keys(lab.authority), lab.authority);
  t.deepEqual(await again.accept([stolen]), ['document-invalid'], 'the first key is worth nothing');
});
