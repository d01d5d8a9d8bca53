import test from 'ava';
import { keyThumbprint } from '../base/keys.ts';
import type { Command } from './access-request.ts';
import { ask, denies, ownerSide, usual, verbs } from './authorise.fixture.ts';
import { authorise } from './authorise.ts';
import { seededKey, signTestGrant, testKeys, testMediator, testTimeMs, testTrust } from './fixtures.ts';
import { acceptGrant, verifyGrant } from './grant-verify.ts';
import { permissionVerbs } from './schema.ts';

const { terminal, mediator } = testKeys;

// Every verb, in every situation.

for (const verb of verbs) {
  const command = usual[verb];
  test(`${verb}: allowed on the mediator, and on the server`, async t => {
    t.deepEqual(await ask(command), { allowed: true });
    t.deepEqual(await ask(command, { owner: undefined }), { allowed: true });
  });

  test(`${verb}: expired, from the very moment`, async t => {
    const life = { exp: testTimeMs / 1000 + 60 };
    t.true((await ask(command, { grant: life, nowMs: 59_999 })).allowed);
    await denies(t, ask(command, { grant: life, nowMs: 60_000 }), {
      code: 'grant-expired',
      by: 'grant',
      field: 'exp',
    });
  });

  test(`${verb}: revoked, by grant, terminal key, mediator key, or signer`, async t => {
    const revoked = { code: 'grant-revoked', by: 'grant', field: 'jti' } as const;
    const grants = await testTrust({ revokedGrants: [{ jti: 'grant-0001', exp: 2_000_000_000 }] });
    await denies(t, ask(command, { request: { trust: grants } }), revoked);
    for (const key of [terminal, mediator, testKeys.authority]) {
      const trust = await testTrust({ revokedKeys: [key.text] });
      await denies(t, ask(command, { request: { trust } }), revoked);
      await denies(t, ask(command, { owner: undefined, request: { trust } }), revoked);
    }
  });

  test(`${verb}: on another mediator, or on no mediator at all`, async t => {
    const wrong = { code: 'not-permitted', by: 'grant', field: 'mediators' } as const;
    await denies(t, ask(command, { grant: { mediators: [{ name: 'gw-2' }] } }), wrong);
    const posing = await testMediator({ role: 'terminal' });
    await denies(t, ask(command, { request: { mediator: posing } }), wrong);
    await denies(t, ask(command, { owner: undefined, grant: { mediators: [{ labels: ['south'] }] } }), wrong);
  });

  test(`${verb}: for a purpose that the owner does not want`, async t => {
    await denies(t, ask(command, { owner: ownerSide({ purposes: ['service'] }) }), {
      code: 'not-permitted',
      by: 'owner',
      field: 'owner.purposes',
    });
  });

  test(`${verb}: outside the owner's hours, whatever consent there is`, async t => {
    const outside = { code: 'outside-hours', by: 'owner', field: 'owner.hours' } as const;
    const mornings = { hours: ['mon-fri 08:00-12:00'] };
    const [before, first, last, behind] = [479, 480, 719, 720];
    for (const minute of [before, behind])
      await denies(t, ask(command, { owner: ownerSide(mornings, { assistance: 9e9 }, minute) }), outside);
    for (const minute of [first, last])
      t.true((await ask(command, { owner: ownerSide(mornings, {}, minute) })).allowed);
    await denies(t, ask(command, { owner: ownerSide({ hours: [] }) }), outside);
    const byPurpose = { ...mornings, assistance: { hours: ['00:00-24:00'] } };
    t.true((await ask(command, { owner: ownerSide(byPurpose, {}, before) })).allowed);
  });

  test(`${verb}: without consent while the window is shut`, async t => {
    const missing = { code: 'consent-required', by: 'owner', field: 'owner.consent' } as const;
    const window = { consent: 'window' };
    await denies(t, ask(command, { owner: ownerSide(window) }), missing);
    await denies(t, ask(command, { owner: ownerSide(window, { service: 9e9 }) }), missing);
    await denies(t, ask(command, { owner: ownerSide(window, { assistance: 1000 }), nowMs: 1000 }), missing);
    t.true((await ask(command, { owner: ownerSide(window, { assistance: 1000 }), nowMs: 999 })).allowed);
    t.true(
      (await ask(command, { owner: ownerSide({ ...window, assistance: { consent: 'always' } }) })).allowed,
    );
  });
}

for (const verb of permissionVerbs) {
  const others = permissionVerbs.filter(other => other !== verb);
  test(`${verb}: refused when the grant, or the owner, does not list it`, async t => {
    const byGrant = { code: 'not-permitted', by: 'grant', field: 'commands' } as const;
    await denies(t, ask(usual[verb], { grant: { commands: others } }), byGrant);
    await denies(t, ask(usual[verb], { grant: { commands: others }, owner: undefined }), byGrant);
    await denies(t, ask(usual[verb], { owner: ownerSide({ commands: others }) }), {
      code: 'not-permitted',
      by: 'owner',
      field: 'owner.commands',
    });
  });
}

test("attach: only with the grant's own key and purpose", async t => {
  const { attach } = usual;
  const stranger = testKeys.stranger.publicKey;
  await denies(t, ask({ verb: 'attach', terminalKey: stranger, purpose: 'assistance' }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'cnf.jkt',
  });
  await denies(t, ask({ verb: 'attach', terminalKey: terminal.publicKey, purpose: 'service' }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'purpose',
  });
  await denies(t, ask(attach, { grant: { cnf: { jkt: keyThumbprint(stranger) } } }), {
    code: 'not-permitted',
    by: 'grant',
    field: 'cnf.jkt',
  });
  const service = { purpose: 'service' } as const;
  t.true((await ask({ ...attach, purpose: 'service' } as Command, { grant: service })).allowed);
});

test("the owner's policy is that of the grant's purpose", async t => {
  const owner = ownerSide({ service: { commands: ['query'] } });
  t.true((await ask(usual.connect, { owner })).allowed);
  await denies(t, ask(usual.connect, { owner, grant: { purpose: 'service' } }), {
    code: 'not-permitted',
    by: 'owner',
    field: 'owner.commands',
  });
});

test('a delegate that is narrowed later narrows the grants it signed', async t => {
  const delegate = {
    key: testKeys.delegate.text,
    name: 'shift',
    notAfter: testTimeMs / 1000 + 86_400,
    purposes: ['assistance'],
  };
  const trust = await testTrust({ delegates: [delegate] });
  const grant = acceptGrant(
    await verifyGrant(await signTestGrant({}, testKeys.delegate), trust, testTimeMs),
    testTimeMs,
    0,
  );
  const mediatorStatement = await testMediator();
  const request = { mediator: mediatorStatement, command: usual.query };
  t.true(authorise(grant, ownerSide(), { ...request, trust }, 0).allowed);
  const narrowed = await testTrust({
    seq: 8,
    delegates: [{ ...delegate, mediators: [{ key: seededKey(50).text }] }],
  });
  t.like(authorise(grant, ownerSide(), { ...request, trust: narrowed }, 0), {
    allowed: false,
    field: 'mediators',
  });
  const dropped = await testTrust({ seq: 9 });
  t.like(authorise(grant, ownerSide(), { ...request, trust: dropped }, 0), {
    allowed: false,
    code: 'grant-revoked',
  });
});
