import test from 'ava';
import fc from 'fast-check';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { keyThumbprint } from '../base/keys.ts';
import {
  seededKey,
  signTestGrant,
  testGrant,
  testGrantClaims,
  testKeys,
  testMediator,
  testTimeMs,
  testTrust,
} from './fixtures.ts';
import { type GrantClaims, grantRules } from './grant.ts';
import { acceptGrant, grantNamesMediator, peekGrant, revocationOf, verifyGrant } from './grant-verify.ts';
import { signJws } from './jws.ts';

const { authority, delegate, terminal, stranger, mediator } = testKeys;
const hour = 3600;
const { iat } = testGrantClaims;

const delegateClaims = {
  key: delegate.text,
  name: 'shift',
  notAfter: iat + 24 * hour,
  purposes: ['assistance'],
};

test('a grant is read as it was signed', async t => {
  t.like(await testGrant(), {
    id: 'grant-0001',
    terminalThumbprint: keyThumbprint(terminal.publicKey),
    purpose: 'assistance',
    issuedAtMs: testTimeMs,
    expiresAtMs: testTimeMs + 12 * hour * 1000,
    deadlineMs: 12 * hour * 1000,
    limits: { newStreamsPerSecond: 100, ports: 64, streams: 1024 },
    signer: authority.text,
  });
});

test('what a grant does not say, it does not allow', async t => {
  const { jti, exp, cnf, mediators, purpose } = testGrantClaims;
  const text = await signJws(
    grantRules.typ,
    { jti, iat, exp, cnf, mediators, purpose, commands: [] },
    authority,
  );
  const nothing = { tcp: [], udp: [] };
  t.like(await verifyGrant(text, await testTrust(), testTimeMs), {
    commands: [],
    targets: { networks: [], ...nothing },
    ports: { addresses: [], ...nothing },
  });
});

const malformed: readonly (readonly [string, object, RegExp])[] = [
  ['an unknown claim', { notBefore: 1 }, /notBefore is not known here/],
  ['an unknown claim inside', { targets: { networks: [], hosts: [] } }, /targets\.hosts is not known here/],
  ['no key', { cnf: {} }, /cnf\.jkt is missing/],
  [
    'a key by value',
    { cnf: { jkt: keyThumbprint(terminal.publicKey), jwk: {} } },
    /cnf\.jwk is not known here/,
  ],
  ['no mediator', { mediators: [] }, /mediators must be a list of 1 to 64/],
  [
    'a selector that fits all',
    { mediators: [{}] },
    /mediators\[0\] must say at least one of: name, key, labels/,
  ],
  [
    'a selector with no label',
    { mediators: [{ labels: [] }] },
    /mediators\[0\]\.labels must be a list of 1 to 32/,
  ],
  ['mediators as text', { mediators: 'gw-1' }, /mediators must be a list/],
  ['another purpose', { purpose: 'support' }, /purpose must be one of: assistance, service/],
  ['an unknown command', { commands: ['*'] }, /commands\[0\] must be one of: open, redirect,/],
  [
    'a loose address',
    { targets: { networks: ['127.1'] } },
    /targets\.networks\[0\] is wrong: "127\.1" is not a network/,
  ],
  ['stray bits', { targets: { networks: ['10.0.0.1/8'] } }, /write 10\.0\.0\.0\/8 or 10\.0\.0\.1/],
  [
    'an unknown word',
    { targets: { networks: ['everything'] } },
    /names no address; allowed are .* lan, loopback,/,
  ],
  [
    'wildcard as a target',
    { targets: { networks: ['wildcard'] } },
    /can be bound, but nothing can be sent to it/,
  ],
  [
    'number 0',
    { targets: { networks: ['lan'], tcp: ['0-80'] } },
    /targets\.tcp\[0\] "0-80" is not a range of port numbers/,
  ],
  ['a number above 65535', { ports: { tcp: [70_000] } }, /ports\.tcp\[0\].*"70000" is not/],
  ['a limit of 0', { limits: { streams: 0 } }, /limits\.streams must be a whole number from 1/],
  ['an id with a path', { jti: '../../x' }, /jti must be 8 to 64/],
  ['fractions of seconds', { iat: iat + 0.5 }, /iat must be a whole number/],
];

for (const [name, claims, message] of malformed) {
  test(`refused: ${name}`, async t => {
    const error = await t.throwsAsync(testGrant(claims), { instanceOf: EntremiseError, message });
    t.is((error as EntremiseError).code, 'grant-invalid');
  });
}

const lives: readonly (readonly [string, Partial<GrantClaims>, number, ErrorCode | undefined])[] = [
  ['24 h of assistance', { exp: iat + 24 * hour }, 0, undefined],
  ['24 h and a second of assistance', { exp: iat + 24 * hour + 1 }, 0, 'grant-invalid'],
  ['30 d of service', { purpose: 'service', exp: iat + 30 * 24 * hour }, 0, undefined],
  ['30 d and a second of service', { purpose: 'service', exp: iat + 30 * 24 * hour + 1 }, 0, 'grant-invalid'],
  ['an expiry before the issue', { exp: iat - 1 }, 0, 'grant-invalid'],
  ['an expiry at the issue', { exp: iat }, 0, 'grant-invalid'],
  ['the last moment', { exp: iat + hour }, hour * 1000 - 1, undefined],
  ['the moment of expiry', { exp: iat + hour }, hour * 1000, 'grant-expired'],
  ['a clock 5 min behind', {}, -300_000, undefined],
  ['a clock more than 5 min behind', {}, -300_001, 'grant-invalid'],
];

for (const [name, claims, offsetMs, code] of lives) {
  test(`a grant in its life: ${name} is ${code ?? 'accepted'}`, async t => {
    const verified = verifyGrant(await signTestGrant(claims), await testTrust(), testTimeMs + offsetMs);
    if (code === undefined) return void t.truthy(await verified);
    const error = await t.throwsAsync(verified, { instanceOf: EntremiseError });
    t.is((error as EntremiseError).code, code);
  });
}

test('a stranger cannot grant, nor the terminal itself, nor a mediator', async t => {
  for (const key of [stranger, terminal, mediator, delegate]) {
    const text = await signTestGrant({}, key);
    await t.throwsAsync(verifyGrant(text, await testTrust(), testTimeMs), {
      message: /no key of this operator/,
    });
  }
});

test('a delegate grants within its purposes and its time, and no more once the statement drops it', async t => {
  const trust = await testTrust({ delegates: [delegateClaims] });
  const text = await signTestGrant({}, delegate);
  const grant = await verifyGrant(text, trust, testTimeMs);
  t.is(grant.signer, delegate.text);
  t.is(revocationOf(grant, trust), undefined);
  t.regex(revocationOf(grant, await testTrust()) ?? '', /signed by a key that may not sign grants/);
  const revoked = await testTrust({ delegates: [delegateClaims], revokedKeys: [delegate.text] });
  t.regex(revocationOf(grant, revoked) ?? '', /may not sign grants/);
  const narrowed = await testTrust({ delegates: [{ ...delegateClaims, notAfter: iat + hour }] });
  t.regex(revocationOf(grant, narrowed) ?? '', /lives longer than its signer shift/);
  await t.throwsAsync(verifyGrant(text, narrowed, testTimeMs), { message: /lives longer than its signer/ });
  const service = await signTestGrant({ purpose: 'service' }, delegate);
  await t.throwsAsync(verifyGrant(service, trust, testTimeMs), { message: /its signer shift may not grant/ });
});

test("a delegate's grant opens only mediators that the delegate's own bound names too", async t => {
  const bounded = await testTrust({ delegates: [{ ...delegateClaims, mediators: [{ labels: ['lab'] }] }] });
  const text = await signTestGrant({ mediators: [{ name: 'gw-1' }, { name: 'gw-2' }] }, delegate);
  const grant = await verifyGrant(text, bounded, testTimeMs);
  t.true(grantNamesMediator(grant, bounded, await testMediator()));
  t.false(grantNamesMediator(grant, bounded, await testMediator({ labels: [] })));
});

test('mediators are named by everything a selector says, and by any of the selectors', async t => {
  const trust = await testTrust();
  const names = async (mediators: GrantClaims['mediators']) =>
    grantNamesMediator(await testGrant({ mediators }), trust, await testMediator());
  t.true(await names([{ name: 'gw-1' }]));
  t.true(await names([{ key: mediator.text }]));
  t.true(await names([{ labels: ['lab', 'region:north'] }]));
  t.true(await names([{ name: 'other' }, { labels: ['lab'] }]));
  t.false(await names([{ name: 'gw-2' }]));
  t.false(await names([{ labels: ['lab', 'region:south'] }]));
  t.false(await names([{ name: 'gw-1', labels: ['region:south'] }]));
  t.false(await names([{ name: 'gw-1', key: seededKey(99).text }]));
});

test('a revoked grant, and any grant for a revoked key, is refused', async t => {
  const text = await signTestGrant();
  for (const claims of [
    { revokedGrants: [{ jti: 'grant-0001', exp: iat + 99 }] },
    { revokedKeys: [terminal.text] },
  ]) {
    const error = await t.throwsAsync(verifyGrant(text, await testTrust(claims), testTimeMs), {
      instanceOf: EntremiseError,
    });
    t.is((error as EntremiseError).code, 'grant-revoked');
  }
});

test('a grant longer than 4 KiB is refused', async t => {
  const mediators = Array.from({ length: 64 }, (_, index) => ({
    name: `gateway-with-a-long-name-${index}`.repeat(2),
  }));
  await t.throwsAsync(testGrant({ mediators }), { message: /longer than 4096 characters/ });
});

test('accepting a grant turns its expiry into a monotonic deadline, and refuses an expired one', async t => {
  const grant = await testGrant();
  t.is(acceptGrant(grant, testTimeMs + 3_600_000, 50).deadlineMs, 50 + 11 * 3_600_000);
  t.throws(() => acceptGrant(grant, grant.expiresAtMs, 0), { message: /expired 0 min ago/ });
});

test('a grant can be shown without being trusted', async t => {
  t.like(peekGrant(await signTestGrant({}, stranger)), { id: 'grant-0001', signer: '' });
  t.throws(() => peekGrant('x'), { instanceOf: EntremiseError });
});

test('a claim replaced by anything either keeps the grant well-formed or makes it invalid, and never crashes', async t => {
  const trust = await testTrust();
  const names = Object.keys(testGrantClaims);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 3 }), async (name, value) => {
      const text = await signTestGrant({ [name]: value });
      const thrown: unknown = await verifyGrant(text, trust, testTimeMs).then(
        () => undefined,
        error => error,
      );
      return thrown === undefined || (thrown instanceof EntremiseError && thrown.code.startsWith('grant-'));
    }),
    { numRuns: 300 },
  );
  t.pass();
});
