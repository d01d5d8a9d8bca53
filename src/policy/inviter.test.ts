import test from 'ava';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { codeIsFor, invitationKeyOf, parseEnrolmentCode } from './enrolment-code.ts';
import { seededKey, signTestGrant, testKeys, testMediatorClaims, testTimeMs, testTrust } from './fixtures.ts';
import { verifyGrant } from './grant-verify.ts';
import { signInvitation, signLabels } from './invite.ts';
import { parseInviter } from './inviter.ts';
import { signJws } from './jws.ts';
import {
  decideMember,
  invitationRules,
  invitationStands,
  joinEnrolment,
  keptInvitation,
  memberStands,
  memberStatementRules,
  signEnrolment,
  verifyInvitation,
  verifyMemberStatement,
} from './member-statement.ts';
import { type TrustStatement, trustStatementRules, verifyTrustStatement } from './trust-statement.ts';

/** P6.2, P6.5: what an inviter signed is worth its bounds in the trust statement, to everybody who reads it. */

const { authority, delegate, mediator, invitation, stranger } = testKeys;
const testTime = testTimeMs / 1000;
const dayS = 86_400;

/** The server's key invites mediators `new-...`, who may be labelled `voip` or `lab`. */
const inviterClaims = {
  key: delegate.text,
  name: 'api',
  notAfter: testTime + 90 * dayS,
  names: 'new-',
  labels: ['voip', 'lab'],
  lifeS: 3600,
};

const trustWith = (claims: object = {}, more: object = {}): Promise<TrustStatement> =>
  testTrust({ inviters: [{ ...inviterClaims, ...claims }], ...more });

const invitationClaims = {
  key: invitation.text,
  role: 'mediator',
  name: 'new-1',
  labels: ['voip'],
  iat: testTime,
  notAfter: testTime + 600,
};

/** A member statement that came by an invitation with such claims, as whoever holds the key of `by` can make it. */
async function invited(claims: object = {}, by = delegate, member = mediator.text): Promise<string> {
  const text = await signJws(invitationRules.typ, { ...invitationClaims, ...claims }, by);
  return joinEnrolment(text, await signEnrolment(invitation, member, testTimeMs));
}

test('a mediator that an inviter has invited within its bounds is one, to everybody', async t => {
  const trust = await trustWith();
  t.like(await verifyMemberStatement(await invited(), trust), {
    key: mediator.text,
    role: 'mediator',
    name: 'new-1',
    labels: ['voip'],
    seq: 0,
  });
  t.is((await verifyMemberStatement(await invited({ labels: [] }), trust)).labels.length, 0);
  const longest = await invited({ notAfter: testTime + 3600 });
  t.is((await verifyMemberStatement(longest, trust)).name, 'new-1');
});

const last = inviterClaims.notAfter;
const overreach: Readonly<Record<string, readonly [claims: object, message: RegExp]>> = {
  'a terminal': [{ role: 'terminal' }, /is for a terminal, and its signer api invites mediators only/],
  'a name that begins otherwise': [{ name: 'home-1' }, /is for home-1, .* begins with "new-"/],
  'a name that has the beginning further on': [{ name: 'a-new-1' }, /begins with "new-"/],
  'another label': [{ labels: ['voip', 'region:north'] }, /gives the label region:north/],
  'a code that is good beyond the inviter': [
    { iat: last, notAfter: last + 1 },
    /good for longer than its signer api/,
  ],
  'a code that ends before it begins': [{ iat: testTime + 600 }, /ends before it begins/],
  'a code that lives too long': [{ notAfter: testTime + 3601 }, /lives longer than the 3600 s/],
};

for (const [what, [claims, message]] of Object.entries(overreach)) {
  test(`an inviter's invitation is refused: ${what}`, async t => {
    const trust = await trustWith();
    await t.throwsAsync(verifyMemberStatement(await invited(claims), trust), {
      code: 'document-invalid',
      message,
    });
    t.truthy(await verifyMemberStatement(await invited(claims, authority), trust), 'the authority may');
  });
}

const taken: Readonly<Record<string, readonly [() => Promise<TrustStatement>, ErrorCode]>> = {
  'that was removed': [() => testTrust({ inviters: [] }), 'document-invalid'],
  'of which a member of before has never heard': [() => testTrust(), 'document-invalid'],
  'whose key is revoked': [() => trustWith({}, { revokedKeys: [delegate.text] }), 'document-invalid'],
  'whose key another has now': [() => trustWith({ key: stranger.text }), 'document-invalid'],
  'whose invitation is revoked': [() => trustWith({}, { revokedKeys: [invitation.text] }), 'key-revoked'],
  'that gives other names now': [() => trustWith({ names: 'later-' }), 'document-invalid'],
  'that gives fewer labels now': [() => trustWith({ labels: ['lab'] }), 'document-invalid'],
};

for (const [what, [trust, code]] of Object.entries(taken)) {
  test(`nobody is a member by the word of an inviter ${what}`, async t => {
    const statement = await invited();
    await t.throwsAsync(verifyMemberStatement(statement, await trust()), { code });
    const before = await verifyMemberStatement(statement, await trustWith());
    t.true(memberStands(before, await trustWith()));
    t.false(memberStands(before, await trust()));
    const [text = ''] = statement.split('~');
    t.false(invitationStands(keptInvitation(text), await trust()));
  });
}

test('the word of an authority’s key is good as long as it is one, and the key that it names is not revoked', async t => {
  const word = await signJws(memberStatementRules.typ, testMediatorClaims, authority);
  for (const text of [word, await invited({}, authority)]) {
    const trust = await testTrust();
    const member = await verifyMemberStatement(text, trust);
    t.true(memberStands(member, trust));
    t.false(memberStands(member, { ...trust, authorityKeys: [stranger.text] }));
    t.false(memberStands(member, await testTrust({ revokedKeys: [mediator.text] })));
  }
});

test('who was invited stays while the inviter stands in the statement, also when its time is over', async t => {
  const trust = await trustWith({}, { iat: testTime + 365 * dayS });
  t.is((await verifyMemberStatement(await invited(), trust)).name, 'new-1');
});

test('an inviter signs nothing but invitations', async t => {
  const trust = await trustWith();
  const own = await signJws(memberStatementRules.typ, { ...testMediatorClaims, name: 'new-1' }, delegate);
  await t.throwsAsync(verifyMemberStatement(own, trust), { message: /no key of this operator/ });
  await t.throwsAsync(verifyGrant(await signTestGrant({}, delegate), trust, testTimeMs), {
    message: /no key of this operator/,
  });
  const statement = await signJws(trustStatementRules.typ, { operator: 'Test Operator', seq: 99 }, delegate);
  await t.throwsAsync(verifyTrustStatement(statement, trust.authorityKeys), {
    message: /no key of this operator/,
  });
});

test('a delegate that is no inviter invites nobody', async t => {
  const entry = { key: delegate.text, name: 'api', notAfter: last, purposes: ['assistance'] };
  const trust = await testTrust({ delegates: [entry] });
  await t.throwsAsync(verifyMemberStatement(await invited(), trust), { message: /no key of this operator/ });
});

test('an inviter takes no name and no key from anybody; the authority takes both', async t => {
  const trust = await trustWith();
  const first = await verifyMemberStatement(await invited(), trust);
  const thief = await verifyMemberStatement(await invited({}, delegate, stranger.text), trust);
  t.is(decideMember(undefined, first, thief), 'name-taken');
  const renamed = await verifyMemberStatement(await invited({ name: 'new-2', labels: ['lab'] }), trust);
  t.is(decideMember(first, undefined, renamed), 'keep');
  const claims = { ...testMediatorClaims, key: stranger.text, name: 'new-1', seq: 1 };
  const word = await verifyMemberStatement(await signJws(memberStatementRules.typ, claims, authority), trust);
  t.is(decideMember(undefined, first, word), 'accept');
  t.is(decideMember(undefined, word, first), 'name-taken');
});

test('an inviter says other labels of who came by it, and the later word counts', async t => {
  const trust = await trustWith();
  const first = await verifyMemberStatement(await invited(), trust);
  const second = await signLabels(delegate, trust, first, ['lab'], testTimeMs + 60_000);
  t.like(second, { key: first.key, name: 'new-1', labels: ['lab'], seq: 0 });
  t.is(decideMember(first, undefined, second), 'accept');
  t.is(decideMember(second, undefined, first), 'keep');
  t.is(decideMember(second, undefined, second), 'keep');
  const third = await signLabels(delegate, trust, second, [], testTimeMs);
  t.is(decideMember(second, undefined, third), 'accept', 'whatever its clock says');
  await t.throwsAsync(signLabels(delegate, trust, first, ['demo'], testTimeMs), {
    message: /gives the label demo/,
  });
  const late = signLabels(delegate, trust, first, [], last * 1000);
  await t.throwsAsync(late, { message: /good for longer than its signer/ });
});

test('an inviter says no labels of who came otherwise, and no other name or enrolment is taken for the same', async t => {
  const trust = await trustWith();
  const claims = { labels: ['lab'], iat: testTime + 60, notAfter: testTime + 61 };
  const byAuthority = await verifyMemberStatement(await invited({}, authority), trust);
  const refused = { code: 'document-invalid', message: /of new-1 is not by this key/ } as const;
  await t.throwsAsync(signLabels(delegate, trust, byAuthority, [], testTimeMs), refused);
  const word = await signJws(memberStatementRules.typ, { ...testMediatorClaims, name: 'new-1' }, authority);
  await t.throwsAsync(
    signLabels(delegate, trust, await verifyMemberStatement(word, trust), [], testTimeMs),
    refused,
  );
  const forged = await verifyMemberStatement(await invited(claims), trust);
  t.is(decideMember(byAuthority, undefined, forged), 'keep', 'by another than who invited');
  const first = await verifyMemberStatement(await invited(), trust);
  const renamed = await verifyMemberStatement(await invited({ ...claims, name: 'new-2' }), trust);
  t.is(decideMember(first, undefined, renamed), 'keep', 'by another name');
  const other = await signJws(
    invitationRules.typ,
    { ...invitationClaims, ...claims, key: stranger.text },
    delegate,
  );
  const enrolment = await signEnrolment(stranger, mediator.text, testTimeMs);
  const again = await verifyMemberStatement(joinEnrolment(other, enrolment), trust);
  t.is(decideMember(first, undefined, again), 'keep', 'by another invitation');
  t.is(decideMember(first, undefined, forged), 'accept');
});

test('a key that stands there twice invites what one of its entries allows, and no mixture', async t => {
  const trust = await testTrust({
    inviters: [inviterClaims, { ...inviterClaims, name: 'api-2', names: 'flat-', labels: ['flat'] }],
  });
  t.truthy(await verifyMemberStatement(await invited({ name: 'flat-1', labels: ['flat'] }), trust));
  await t.throwsAsync(verifyMemberStatement(await invited({ labels: ['flat'] }), trust), {
    message: /label flat/,
  });
});

test('an inviter that is not understood invites nobody, and revocations of its statement arrive', async t => {
  const unknown = [{ ...inviterClaims, onlyOn: 'sunday' }, 5, { key: delegate.text }];
  const trust = await testTrust({ inviters: unknown, revokedKeys: [stranger.text] });
  t.deepEqual(trust.inviters, []);
  t.true(trust.revokedKeys.has(stranger.text));
  await t.throwsAsync(verifyMemberStatement(await invited(), trust), { message: /no key of this operator/ });
  await t.throwsAsync(testTrust({ inviters: Array.from({ length: 33 }, () => inviterClaims) }), {
    message: /inviters must be a list of 0 to 32/,
  });
});

const malformed: readonly (readonly [string, object, RegExp])[] = [
  ['no names', { names: '' }, /names must be 1 to 62 lower-case/],
  ['names in capitals', { names: 'New-' }, /names must be/],
  ['no labels said', { labels: undefined }, /labels must be a list of 0 to 32/],
  ['a label with blanks', { labels: ['a b'] }, /labels\[0\] must be/],
  ['codes for ever', { lifeS: 604_801 }, /lifeS must be a whole number from 1 to 604800/],
  ['an unknown bound', { onlyOn: 1 }, /onlyOn is not known here/],
];

for (const [what, claims, message] of malformed) {
  test(`an inviter is malformed: ${what}`, t => {
    t.throws(() => parseInviter({ ...inviterClaims, ...claims }), { code: 'document-invalid', message });
  });
}

test('codes live for 10 min at most where nothing is said', t => {
  const { lifeS, ...plain } = inviterClaims;
  t.is(parseInviter({ ...plain }).lifeMs, 600_000);
  t.is(lifeS, 3600);
});

test('a code that an inviter makes leads to the authority and the server, and is not made beyond its bounds', async t => {
  const trust = await trustWith();
  const pin = seededKey(20).text;
  const signer = { key: delegate, trust, serverPin: pin, authorityKey: trust.signer };
  const identity = { role: 'mediator', name: 'new-1', labels: ['voip'] } as const;
  const { code, invitation: made } = await signInvitation(signer, identity, 3_600_000, testTimeMs + 1);
  const typed = parseEnrolmentCode(code);
  t.true(codeIsFor(typed, pin, authority.text));
  t.is(invitationKeyOf(typed).text, made.key);
  t.is(made.signer, delegate.text);
  t.is((await verifyInvitation(made.text, trust)).notAfterMs, testTimeMs + 3_601_000);
  for (const wrong of [
    { ...identity, name: 'home-1' },
    { ...identity, role: 'terminal' as const },
  ])
    await t.throwsAsync(signInvitation(signer, wrong, 600_000, testTimeMs), {
      instanceOf: EntremiseError,
      code: 'document-invalid',
    });
});
