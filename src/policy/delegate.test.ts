import test, { type ExecutionContext } from 'ava';
import { keyThumbprint } from '../base/keys.ts';
import type { Command } from './access-request.ts';
import { denies, device, gatewayLan, ownerSide, usual, verbs } from './authorise.fixture.ts';
import { authorise } from './authorise.ts';
import { signTestGrant, testKeys, testMediator, testTimeMs, testTrust } from './fixtures.ts';
import type { GrantClaims } from './grant.ts';
import { acceptGrant, verifyGrant } from './grant-verify.ts';
import { canonicalAddress } from './target.ts';
import type { TrustStatement } from './trust-statement.ts';

/** P6.2: what a delegate signed is worth what the grant says, and no more than the delegate's own bounds. */

const { delegate, terminal, stranger } = testKeys;

function trustWith(bounds: object): Promise<TrustStatement> {
  const plain = {
    key: delegate.text,
    name: 'desk',
    notAfter: testTimeMs / 1000 + 86_400,
    purposes: ['assistance'],
  };
  return testTrust({ delegates: [{ ...plain, ...bounds }] });
}

async function signed(trust: TrustStatement, claims: Partial<GrantClaims> = {}) {
  return verifyGrant(await signTestGrant(claims, delegate), trust, testTimeMs);
}

/** The verdict of a mediator on a command, under a grant for everything that a delegate with these bounds has signed. */
async function ask(bounds: object, command: Command, claims: Partial<GrantClaims> = {}) {
  const trust = await trustWith(bounds);
  const grant = acceptGrant(await signed(trust, claims), testTimeMs, 0);
  return authorise(grant, ownerSide(), { mediator: await testMediator(), trust, command }, 0);
}

test('a delegate without bounds allows what the grant says', async t => {
  for (const verb of verbs) t.true((await ask({}, usual[verb])).allowed, verb);
});

const refusals: readonly (readonly [what: string, bounds: object, command: Command, field: string])[] = [
  ['a command', { commands: ['close', 'query'] }, usual.connect, 'delegates.commands'],
  [
    'another network',
    { targets: { networks: ['192.168.1.20'] } },
    usual.connect,
    'delegates.targets.networks',
  ],
  ['another TCP number', { targets: { tcp: ['443'] } }, usual.connect, 'delegates.targets.tcp'],
  ['another UDP number', { targets: { udp: ['5060'] } }, usual.datagram, 'delegates.targets.udp'],
  [
    'another address to bind',
    { ports: { addresses: ['10.0.0.1'] } },
    usual.open,
    'delegates.ports.addresses',
  ],
  ['another number to bind', { ports: { udp: ['6000-7000'] } }, usual.open, 'delegates.ports.udp'],
];

for (const [what, bounds, command, field] of refusals) {
  test(`beyond the delegate's bounds is refused, whatever the grant says: ${what}`, async t => {
    await denies(t, ask(bounds, command), { code: 'not-permitted', by: 'grant', field });
  });
}

test('inside the bounds it is allowed, and what they do not speak of is as in the grant', async t => {
  const bounds = {
    commands: ['connect', 'open'],
    targets: { tcp: ['80'] },
    ports: { addresses: ['lan'], udp: ['5000-6000'] },
  };
  t.true((await ask(bounds, { verb: 'connect', target: device, number: 80 })).allowed);
  t.true((await ask(bounds, usual.open)).allowed);
  const outside = canonicalAddress('198.51.100.9');
  const field = 'targets.networks';
  await denies(t, ask(bounds, { verb: 'connect', target: outside, number: 80 }), {
    code: 'not-permitted',
    by: 'grant',
    field,
  });
});

test('a range of the grant and a range of the delegate name no number of the gateway itself', async t => {
  const admin: Command = { verb: 'connect', target: gatewayLan, number: 80 };
  const claims = { targets: { networks: ['gateway'], tcp: ['80'] } };
  const bounds = { targets: { networks: ['gateway'], tcp: ['1-65535'] } };
  await denies(t, ask(bounds, admin, claims), {
    code: 'not-permitted',
    by: 'grant',
    field: 'delegates.targets.tcp',
  });
});

test('of each limit the smaller one is in force', async t => {
  const trust = await trustWith({ limits: { ports: 4, bytesPerSecond: 50_000 } });
  const { limits } = await signed(trust, { limits: { streams: 7, ports: 100 } });
  t.deepEqual(limits, { newStreamsPerSecond: 100, ports: 4, streams: 7, bytesPerSecond: 50_000 });
});

async function isInvalid(t: ExecutionContext, trust: TrustStatement, message: RegExp): Promise<void> {
  await t.throwsAsync(signed(trust), { code: 'grant-invalid', message });
}

test('a delegate for some terminals grants to these only', async t => {
  const [own, other] = [terminal, stranger].map(({ publicKey }) => keyThumbprint(publicKey));
  t.truthy(await signed(await trustWith({ terminals: [own] })));
  await isInvalid(t, await trustWith({ terminals: [other] }), /to which its signer desk may grant nothing/);
});

test('an authority key is not bounded by a delegate entry that has its key', async t => {
  const trust = await testTrust({
    delegates: [
      {
        key: testKeys.authority.text,
        name: 'odd',
        notAfter: 1_900_000_000,
        purposes: ['assistance'],
        commands: [],
      },
    ],
  });
  const grant = acceptGrant(await verifyGrant(await signTestGrant(), trust, testTimeMs), testTimeMs, 0);
  const request = { mediator: await testMediator(), trust, command: usual.connect };
  t.true(authorise(grant, ownerSide(), request, 0).allowed);
});

test('bounds that are not understood make the whole statement invalid', async t => {
  await t.throwsAsync(trustWith({ targets: { tcp: ['80'], sctp: ['1'] } }), {
    code: 'document-invalid',
    message: /delegates\[0\]\.targets\.sctp is not known here/,
  });
});
