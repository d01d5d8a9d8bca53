import test, { type ExecutionContext } from 'ava';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { testKeys, testMediator, testMediatorClaims, testTimeMs, testTrust } from './fixtures.ts';
import { signJws } from './jws.ts';
import {
  decideMember,
  invitationRules,
  joinEnrolment,
  memberStatementRules,
  signEnrolment,
  verifyEnrolment,
  verifyInvitation,
  verifyMemberStatement,
} from './member-statement.ts';

const { authority, mediator, terminal, invitation, stranger } = testKeys;
const minuteMs = 60_000;

const invitationClaims = {
  key: invitation.text,
  role: 'mediator',
  name: 'gw-2',
  labels: ['lab'],
  iat: testTimeMs / 1000,
  notAfter: testTimeMs / 1000 + 600,
};
const signInvitation = (claims: object = {}, key = authority) =>
  signJws(invitationRules.typ, { ...invitationClaims, ...claims }, key);
const enrol = (key = mediator.text, by = invitation) => signEnrolment(by, key, testTimeMs + minuteMs);

async function refused(t: ExecutionContext, promise: Promise<unknown>, code: ErrorCode, message: RegExp) {
  const error = await t.throwsAsync(promise, { instanceOf: EntremiseError, message });
  t.is((error as EntremiseError).code, code);
}

test('a statement by the authority says who a key is', async t => {
  t.like(await testMediator(), {
    key: mediator.text,
    role: 'mediator',
    name: 'gw-1',
    labels: ['region:north', 'lab'],
    seq: 3,
    invited: undefined,
  });
});

test('invitation and enrolment together are a statement with seq 0', async t => {
  const text = joinEnrolment(await signInvitation(), await enrol());
  t.like(await verifyMemberStatement(text, await testTrust()), {
    key: mediator.text,
    role: 'mediator',
    name: 'gw-2',
    seq: 0,
    signer: authority.text,
    invited: { key: invitation.text, signer: authority.text, issuedAtMs: testTimeMs },
    text,
  });
});

const sign = (typ: string, claims: object, key = authority) => signJws(typ, claims, key);
const memberTyp = memberStatementRules.typ;
const hostile: Readonly<Record<string, readonly [() => Promise<string>, RegExp]>> = {
  'a statement signed by the member itself': [
    () => sign(memberTyp, testMediatorClaims, mediator),
    /no key of this operator/,
  ],
  'a statement signed by the delegate': [
    () => sign(memberTyp, testMediatorClaims, testKeys.delegate),
    /no key of this operator/,
  ],
  'an enrolment alone': [() => enrol(), /no key of this operator/],
  'an invitation alone': [() => signInvitation(), /does not have the type/],
  'an enrolment by the authority posing as a statement': [
    () => sign(memberTyp, { key: mediator.text, iat: 1 }),
    /is missing/,
  ],
  'an invitation signed by a stranger': [
    async () => joinEnrolment(await signInvitation({}, stranger), await enrol()),
    /no key of this operator/,
  ],
  'an enrolment signed by another key': [
    async () => joinEnrolment(await signInvitation(), await enrol(mediator.text, stranger)),
    /no key of this operator/,
  ],
  'a full statement in the place of an enrolment, signed by the authority': [
    async () => joinEnrolment(await signInvitation(), await sign(memberTyp, testMediatorClaims)),
    /no key of this operator/,
  ],
  'three parts': [async () => `${await signInvitation()}~${await enrol()}~x`, /too many parts/],
  'a statement with seq 0': [
    () => sign(memberTyp, { ...testMediatorClaims, seq: 0 }),
    /seq must be a whole number from 1/,
  ],
  'a name with a path': [
    () => sign(memberTyp, { ...testMediatorClaims, name: '../gw' }),
    /name must be 1 to 63/,
  ],
  'a name with dots in a row': [
    () => sign(memberTyp, { ...testMediatorClaims, name: 'a..b' }),
    /name must be 1 to 63/,
  ],
  'a name in capitals': [
    () => sign(memberTyp, { ...testMediatorClaims, name: 'GW' }),
    /name must be 1 to 63/,
  ],
  'a name with a line break': [
    () => sign(memberTyp, { ...testMediatorClaims, name: 'gw\n' }),
    /name must be 1 to 63/,
  ],
  'a label with blanks': [
    () => sign(memberTyp, { ...testMediatorClaims, labels: ['a b'] }),
    /labels\[0\] must be/,
  ],
  'another role': [
    () => sign(memberTyp, { ...testMediatorClaims, role: 'server' }),
    /role must be one of: mediator, terminal/,
  ],
};

for (const [name, [make, message]] of Object.entries(hostile)) {
  test(`refused: ${name}`, async t => {
    await refused(t, verifyMemberStatement(await make(), await testTrust()), 'document-invalid', message);
  });
}

test('a revoked key has no statement, whether it is the member or its invitation', async t => {
  const chain = joinEnrolment(await signInvitation(), await enrol());
  const own = (await testMediator()).text;
  const withoutMember = await testTrust({ revokedKeys: [mediator.text] });
  const withoutInvitation = await testTrust({ revokedKeys: [invitation.text] });
  await refused(
    t,
    verifyMemberStatement(own, withoutMember),
    'key-revoked',
    /The key of gw-1 has been revoked/,
  );
  await refused(t, verifyMemberStatement(chain, withoutMember), 'key-revoked', /The key of gw-2/);
  await refused(
    t,
    verifyMemberStatement(chain, withoutInvitation),
    'key-revoked',
    /The invitation has been revoked/,
  );
});

test('an enrolment is taken while the invitation lasts, for the key that was proved', async t => {
  const trust = await testTrust();
  const invited = await verifyInvitation(await signInvitation(), trust);
  const inTimeMs = testTimeMs + 9 * minuteMs;
  const statement = await verifyEnrolment(invited, await enrol(), mediator.text, trust, inTimeMs);
  t.is(statement.name, 'gw-2');
  await refused(
    t,
    verifyEnrolment(invited, await enrol(), mediator.text, trust, testTimeMs + 10 * minuteMs),
    'code-expired',
    /make a new one/,
  );
  await refused(
    t,
    verifyEnrolment(invited, await enrol(), terminal.text, trust, inTimeMs),
    'document-invalid',
    /another key than the one that was proved/,
  );
  await refused(
    t,
    verifyEnrolment(invited, await enrol(mediator.text, stranger), mediator.text, trust, inTimeMs),
    'document-invalid',
    /no key of this operator/,
  );
  await refused(
    t,
    verifyEnrolment(invited, 'x~y', mediator.text, trust, inTimeMs),
    'document-invalid',
    /too many parts/,
  );
});

test('the statement of an enrolment outlives the invitation', async t => {
  const text = joinEnrolment(await signInvitation({ notAfter: 1 }), await enrol());
  t.is((await verifyMemberStatement(text, await testTrust())).name, 'gw-2');
});

test('the higher seq wins for a key and for a name; two enrolments do not fight for a name', async t => {
  const trust = await testTrust();
  const first = await testMediator({ seq: 3 });
  const newer = await testMediator({ seq: 4, name: 'gw-9' });
  const replacement = await testMediator({ seq: 5, key: terminal.text });
  const enrolled = await verifyMemberStatement(
    joinEnrolment(await signInvitation({ name: 'gw-1' }), await enrol(terminal.text)),
    trust,
  );
  t.is(decideMember(undefined, undefined, first), 'accept');
  t.is(decideMember(first, first, first), 'keep');
  t.is(decideMember(first, undefined, newer), 'accept');
  t.is(decideMember(newer, undefined, first), 'keep');
  t.is(decideMember(undefined, first, replacement), 'accept');
  t.is(decideMember(undefined, replacement, first), 'name-taken');
  t.is(decideMember(undefined, first, enrolled), 'name-taken');
  t.is(decideMember(undefined, { ...enrolled, key: stranger.text }, enrolled), 'name-taken');
});
