import test from 'ava';
import { EntremiseError } from '../base/errors.ts';
import { keyThumbprint } from '../base/keys.ts';
import { seededKey, signTestTrust, testKeys, testTimeMs, testTrust, testTrustClaims } from './fixtures.ts';
import { parseServerAddress, serverAddressText } from './server-address.ts';
import { acceptTrust, isKeyRevoked, verifyTrustStatement } from './trust-statement.ts';

const { authority, nextAuthority, mediator, stranger, delegate } = testKeys;

test('a trust statement is read as it was signed', async t => {
  const trust = await testTrust({
    revokedGrants: [{ jti: 'grant-9999', exp: 1_900_000_000 }],
    revokedKeys: [mediator.text],
    delegates: [{ key: delegate.text, name: 'shift', notAfter: 1_900_000_000, purposes: ['assistance'] }],
  });
  t.like(trust, { operator: 'Test Operator', seq: 7, issuedAtMs: testTimeMs, signer: authority.text });
  t.deepEqual(trust.authorityKeys, testTrustClaims.authorityKeys);
  t.deepEqual(trust.serverAddresses, [
    { host: 'server.example', number: 443 },
    { host: '2001:db8::5', number: 443 },
  ]);
  t.true(trust.revokedGrants.has('grant-9999'));
  t.true(isKeyRevoked(trust, mediator.text));
  t.true(trust.revokedThumbprints.has(keyThumbprint(mediator.publicKey)));
  t.like(trust.delegates[0], { name: 'shift', notAfterMs: 1_900_000_000_000, mediators: undefined });
});

test('only a key that is trusted already may sign the next statement', async t => {
  const text = await signTestTrust({ authorityKeys: [stranger.text] }, stranger);
  await t.throwsAsync(verifyTrustStatement(text, testTrustClaims.authorityKeys), {
    message: /no key of this operator/,
  });
  t.truthy(await verifyTrustStatement(await signTestTrust({}, nextAuthority), testTrustClaims.authorityKeys));
});

const malformed: readonly (readonly [string, object, RegExp])[] = [
  ['no seq', { seq: undefined }, /seq is missing/],
  ['seq 0', { seq: 0 }, /seq must be a whole number from 1/],
  ['seq as text', { seq: '7' }, /seq must be a whole number/],
  ['a fraction as seq', { seq: 1.5 }, /seq must be a whole number/],
  ['no time', { iat: undefined }, /iat is missing/],
  ['milliseconds as time', { iat: 1e15 }, /iat must be a whole number/],
  ['no authority key', { authorityKeys: [] }, /authorityKeys must be a list of 1 to 8/],
  ['a short key', { authorityKeys: ['abc'] }, /authorityKeys\[0\] must be 32 bytes in base64url/],
  ['no pin', { serverPins: [] }, /serverPins must be a list of 1 to 8/],
  [
    'a bad address',
    { serverAddresses: ['server'] },
    /serverAddresses\[0\] is wrong: "server" is no server address/,
  ],
  ['escape sequences as operator', { operator: '\u001b[2J' }, /operator must be 1 to 63 letters/],
  [
    'a delegate with an unknown bound',
    { delegates: [{ key: authority.text, name: 'x', notAfter: 1, purposes: ['service'], onlyOn: 1 }] },
    /delegates\[0\]\.onlyOn is not known here/,
  ],
  [
    'every authority key revoked',
    { revokedKeys: testTrustClaims.authorityKeys },
    /revokes every authority key/,
  ],
];

for (const [name, claims, message] of malformed) {
  test(`refused: ${name}`, async t => {
    const error = await t.throwsAsync(testTrust(claims), { instanceOf: EntremiseError, message });
    t.is((error as EntremiseError).code, 'document-invalid');
  });
}

test('members of the statement that are not known yet are ignored, so that revocations still arrive', async t => {
  t.is((await testTrust({ later: { a: 1 } })).seq, 7);
});

test('the statement with the higher seq is kept, whatever the order', async t => {
  const old = await testTrust({ seq: 7 });
  const young = await testTrust({ seq: 8 });
  t.is(acceptTrust(undefined, old), old);
  t.is(acceptTrust(old, young), young);
  t.is(acceptTrust(young, old), young);
  t.is(acceptTrust(old, await testTrust({ seq: 7 })), old);
});

test("another operator's statement is not accepted, whatever its seq", async t => {
  const other = await testTrust({ seq: 99, operator: 'Other' });
  const current = await testTrust();
  t.throws(() => acceptTrust(current, other), { message: /is not of the operator Test Operator/ });
});

test('a revoked authority key signs nothing any more', async t => {
  const revoking = await verifyTrustStatement(
    await signTestTrust({ seq: 8, revokedKeys: [authority.text] }, nextAuthority),
    testTrustClaims.authorityKeys,
  );
  t.deepEqual(revoking.authorityKeys, [nextAuthority.text]);
  const late = await signTestTrust({ seq: 9 }, authority);
  await t.throwsAsync(verifyTrustStatement(late, revoking.authorityKeys), {
    message: /no key of this operator/,
  });
  const verifiedBefore = await verifyTrustStatement(late, testTrustClaims.authorityKeys);
  t.throws(() => acceptTrust(revoking, verifiedBefore), { message: /no authority key any more/ });
});

test('a rotation brings a new key in and lets an old one go', async t => {
  const rotated = await testTrust({ seq: 8, authorityKeys: [nextAuthority.text, seededKey(9).text] });
  const next = await verifyTrustStatement(
    await signTestTrust({ seq: 9 }, seededKey(9)),
    rotated.authorityKeys,
  );
  t.is(acceptTrust(rotated, next), next);
});

test('server addresses are read in one form only', t => {
  for (const text of ['server.example:443', '203.0.113.5:7000', '[2001:db8::5]:443']) {
    t.is(serverAddressText(parseServerAddress(text)), text);
  }
  for (const text of [
    '',
    'server',
    'server:0',
    'server:65536',
    ':443',
    '2001:db8::5:443',
    '[server]:443',
    '[]:443',
    'a b:1',
    '127.1:443',
    'http://server:443',
    'server:443/',
    '[::1]',
  ]) {
    t.throws(() => parseServerAddress(text), { instanceOf: EntremiseError }, text);
  }
});
