import { once } from 'node:events';
import test from 'ava';
import { EntremiseError } from '../base/errors.ts';
import { seededKey, signTestGrant, signTestTrust, testKeys, testMediator } from '../policy/fixtures.ts';
import { eventually } from './testing/eventually.ts';
import { attachedLab, currentGrant, lab, mediatorEntry, nowS } from './testing/lab.ts';
import { TunnelError } from './tunnel-error.ts';

test('P1.8: the list has names and labels from member statements that hold, and says who has none', async t => {
  const forged = await mediatorEntry({ key: seededKey(9).publicKey });
  const bare = { key: seededKey(8).publicKey, online: true, sinceMs: 1 };
  const { terminal } = await lab(t, { entries: [await mediatorEntry(), forged, bare] });
  await terminal.ready();
  const [unverifiedA, unverifiedB, verified] = [...terminal.mediators()].sort(
    (a, b) => Number(a.verified) - Number(b.verified),
  );
  t.like(verified, {
    key: testKeys.mediator.text,
    name: 'gw-1',
    labels: ['region:north', 'lab'],
    verified: true,
    problem: undefined,
    online: true,
    observed: '192.0.2.7:40000',
    roundTripMs: 3,
  });
  for (const each of [unverifiedA, unverifiedB]) {
    t.is(each?.name, undefined);
    t.deepEqual(each?.labels, []);
    t.truthy(each?.problem);
  }
});

test('a grant that the server sends before the list counts when the list is complete', async t => {
  const { terminal, trust } = await lab(t, { grants: [] });
  const others = Array.from({ length: 50 }, (_, index) =>
    currentGrant({ jti: `other-${index}`, mediators: [{ name: 'gw-2' }] }),
  );
  void trust.accept([...(await Promise.all(others)), await currentGrant()]);
  await terminal.ready();
  const attachment = await terminal.attach('gw-1');
  t.is(attachment.peer.mediator, 'gw-1');
});

test('changes come as typed events: offline, online, gone', async t => {
  const { terminal, server } = await lab(t);
  await terminal.ready();
  const kinds: string[] = [];
  terminal.on('mediator', ({ kind, mediator }) => kinds.push(`${kind} ${mediator.name}`));
  for (const change of [{ online: false }, { online: true }, { gone: true }])
    server.tell({ entries: [await mediatorEntry(change)] });
  await eventually('three changes', () => kinds.length === 3);
  t.deepEqual(kinds, ['offline gw-1', 'online gw-1', 'gone gw-1']);
  t.deepEqual(terminal.mediators(), []);
});

test('a lost link marks everybody offline, comes back, and forgets whom the server forgot', async t => {
  const other = await testMediator({ key: seededKey(7).text, name: 'gw-2' });
  const entries = [
    await mediatorEntry(),
    { ...(await mediatorEntry()), key: seededKey(7).publicKey, statement: other.text },
  ];
  const { terminal, server } = await lab(t, { entries });
  await terminal.ready();
  t.is(terminal.mediators().length, 2);
  server.presence = { entries: [await mediatorEntry()], complete: true };
  const states: unknown[] = [];
  terminal.on('disconnected', ({ error }) =>
    states.push(
      error.reason,
      terminal.mediators().map(({ online }) => online),
    ),
  );
  server.breakLink();
  await once(terminal, 'connected');
  t.deepEqual(states.slice(0, 2), ['link-lost', [false, false]]);
  t.deepEqual(
    terminal.mediators().map(({ name, online }) => [name, online]),
    [['gw-1', true]],
  );
});

test('a revoked mediator loses its name at once', async t => {
  const { terminal, trust } = await lab(t);
  await terminal.ready();
  await trust.accept([await signTestTrust({ seq: 8, revokedKeys: [testKeys.mediator.text] })]);
  await eventually('the mediator is unverified', () => terminal.mediators()[0]?.verified === false);
  t.is(terminal.mediators()[0]?.name, undefined);
  await t.throwsAsync(terminal.attach('gw-1'), { code: 'no-such-mediator' });
});

test('attach picks the grant that fits, and shows it', async t => {
  const grants = [
    await currentGrant({ jti: 'short-lived', exp: nowS() + 60 }),
    await currentGrant({ jti: 'long-lived' }),
    await currentGrant({ jti: 'other-mediator', mediators: [{ name: 'gw-2' }] }),
    await currentGrant({ jti: 'for-service', purpose: 'service' }),
    await currentGrant({ jti: 'for-another-key', cnf: { jkt: seededKey(50).text } }),
  ];
  const { terminal } = await lab(t, { grants });
  t.is((await terminal.attach('gw-1')).peer.grant, 'long-lived');
  t.is((await terminal.attach('gw-1', { purpose: 'service' })).peer.grant, 'for-service');
  t.is((await terminal.attach('gw-1', { grant: 'short-lived' })).peer.grant, 'short-lived');
  t.is(
    (await terminal.attach('gw-1', { grant: await currentGrant({ jti: 'by-hand-1' }) })).peer.grant,
    'by-hand-1',
  );
  await t.throwsAsync(terminal.attach('gw-1', { grant: 'unknown-id' }), {
    code: 'grant-missing',
    message: /unknown-id/,
  });
});

const lacking = [
  [
    'no grant at all',
    [],
    'grant-missing',
    /No grant of this terminal names the mediator gw-1.*purpose assistance/,
  ],
  ['a grant for another purpose', [{ purpose: 'service' }], 'grant-missing', /names gw-1 for service only/],
  [
    'a grant that is expired',
    [{ iat: nowS() - 7200, exp: nowS() - 3600 }],
    'grant-expired',
    /expired 60 min ago/,
  ],
] as const;

for (const [what, claims, code, message] of lacking) {
  test(`with ${what} attach says what is needed`, async t => {
    const grants = await Promise.all(
      claims.map((each, index) => currentGrant({ ...each, jti: `grant-000${index}` })),
    );
    const { terminal } = await lab(t, { grants });
    const error = await t.throwsAsync(terminal.attach('gw-1'), { code, message });
    t.true(error instanceof TunnelError);
  });
}

test('a name that nobody has, one that no grant names, and one that is offline are told apart', async t => {
  const entries = [await mediatorEntry({ online: false, sinceMs: Date.UTC(2026, 0, 2, 3, 4, 5) })];
  const grants = [await currentGrant({ mediators: [{ name: 'gw-1' }, { name: 'gw-9' }] })];
  const { terminal } = await lab(t, { entries, grants });
  await t.throwsAsync(terminal.attach('gw-9'), { code: 'no-such-mediator', message: /It knows: gw-1/ });
  await t.throwsAsync(terminal.attach('gw-8'), { code: 'grant-missing' });
  await t.throwsAsync(terminal.attach('gw-1'), { code: 'mediator-offline', message: /2026-01-02T03:04:05/ });
});

test('waitOnline waits until the mediator comes, and can be given up', async t => {
  const { terminal, server } = await lab(t, { entries: [await mediatorEntry({ online: false })] });
  const waiting = terminal.waitOnline('gw-1');
  await terminal.ready();
  server.tell({ entries: [await mediatorEntry()] });
  t.like(await waiting, { name: 'gw-1', online: true });
  const controller = new AbortController();
  server.tell({ entries: [await mediatorEntry({ online: false })] });
  await once(terminal, 'mediator');
  const givenUp = terminal.waitOnline('gw-1', { signal: controller.signal });
  controller.abort();
  await t.throwsAsync(givenUp, { name: 'AbortError' });
});

test('a refusal of the owner is told with who refused and why', async t => {
  const { terminal, server } = await lab(t);
  server.refuseAttach = 'consent-required';
  const error = await t.throwsAsync(terminal.attach('gw-1'), { message: 'not today' });
  t.like(error, { code: 'EACCES', reason: 'consent-required', by: 'owner' });
});

test('a server that will never take this key is told at once', async t => {
  const { terminal, server } = await lab(t);
  await terminal.ready();
  server.refuseLink = new EntremiseError('not-enrolled', { message: 'who are you?' });
  const lost = once(terminal, 'disconnected');
  server.breakLink();
  await lost;
  await t.throwsAsync(terminal.attach('gw-1'), { code: 'not-enrolled', message: 'who are you?' });
  await t.throwsAsync(terminal.waitOnline('gw-1'), { code: 'not-enrolled' });
});

test('an attach that is aborted frees its label', async t => {
  const { terminal, server } = await lab(t);
  await terminal.ready();
  await t.throwsAsync(terminal.attach('gw-1', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const controller = new AbortController();
  const attaching = terminal.attach('gw-1', { signal: controller.signal });
  setImmediate(() => controller.abort());
  await attaching.catch(() => {});
  await eventually(
    'the label is freed or used',
    () => server.detached.length > 0 || server.mediators.length > 0,
  );
  t.pass();
});

test('close() detaches, ends the link, and everything that waits', async t => {
  const { terminal, server, attachment } = await attachedLab(t);
  const ended = once(attachment, 'closed');
  const waiting = terminal.waitOnline('gw-1').then(() => terminal.waitOnline('gw-1'));
  await waiting;
  server.tell({ entries: [await mediatorEntry({ online: false })] });
  await once(terminal, 'mediator');
  const forEver = terminal.waitOnline('gw-1');
  await terminal.close();
  t.like((await ended)[0], { reason: 'detached' });
  t.is(server.detached.length, 1);
  await t.throwsAsync(forEver, { code: 'shutting-down' });
});

test('one terminal has several attachments, each with its own sockets and end', async t => {
  const { terminal } = await lab(t);
  const [first, second] = [await terminal.attach('gw-1'), await terminal.attach('gw-1')];
  t.not(first.peer.id, second.peer.id);
  first.detach();
  t.false(second.closed);
  await second.open({ protocol: 'tcp' });
  t.is((await second.ports()).length, 1);
});

test('P6.4: a mediator that does not hold its key is not attached to', async t => {
  const impostor = await testMediator({ key: seededKey(33).text, name: 'gw-3' });
  const entry = { ...(await mediatorEntry()), key: seededKey(33).publicKey, statement: impostor.text };
  const grant = await signTestGrant({ iat: nowS(), exp: nowS() + 60, mediators: [{ name: 'gw-3' }] });
  const { terminal } = await lab(t, { entries: [entry], grants: [grant] });
  await t.throwsAsync(terminal.attach('gw-3'), { code: 'proof-invalid' });
});
