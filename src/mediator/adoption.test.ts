import { randomBytes } from 'node:crypto';
import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { until, untilFree } from '../native/test-sockets.ts';
import { dialIn, readToEnd } from './testing/devices.ts';
import { budgetsAreWhole, playing, suspended } from './testing/set-up.ts';
import { TestTerminal } from './testing/test-terminal.ts';

/** What becomes of what a terminal left, for another process of it (P4.6). */

test('P4.6: a new process adopts the ports of the one before; its streams are reset, for real on the LAN', async t => {
  const attachmentId = randomBytes(16);
  const key = generateSigningKey();
  const played = await playing(t);
  let listening = { port: 0, number: 0 };
  const { rig, clock } = await suspended(t, { attachmentId, key }, async terminal => {
    await terminal.connected(played.number);
    const { port = 0, number = 0 } = await terminal.open();
    listening = { port, number };
    await terminal.listen(port);
  });
  const ofBefore = readToEnd(await played.next());
  const early = await dialIn(listening.number);
  const earlyEnd = readToEnd(early);
  const next = await TestTerminal.attach(rig, { key, attachmentId, holdMs: 60_000 });
  t.is((await ofBefore).end, 'ECONNRESET');
  t.is((await earlyEnd).end, 'ECONNRESET');
  const { ports = [] } = await next.command({ verb: 'query', what: 'ports' });
  t.deepEqual(
    ports.map(({ port, state, streams }) => ({ port, state, streams })),
    [{ port: listening.port, state: 'opened', streams: 0 }],
  );
  // P3.8: it gets no streams of ports that it did not make LISTEN.
  await t.throwsAsync(dialIn(listening.number), { code: 'ECONNREFUSED' });
  t.is((await next.listen(listening.port)).code, 'ok');
  const visitor = await dialIn(listening.number);
  visitor.write('to the new one');
  const event = await next.event('connected');
  await next.streams.get(event.stream)?.got(14);
  t.deepEqual(
    next.events.map(({ kind }) => kind),
    ['connected'],
  );
  clock.advance(600_000);
  t.deepEqual([rig.agent.attachedCount, rig.agent.heldCount], [1, 0]);
});

for (const left of [false, true])
  test(`P4.6: who comes back to what another process has adopted hears terminal-restarted, and takes nothing ${left ? 'that is held' : 'that is routed'}`, async t => {
    const attachmentId = randomBytes(16);
    const key = generateSigningKey();
    const played = await playing(t);
    const { rig, terminal } = await suspended(t, { attachmentId, key }, first =>
      first.connected(played.number),
    );
    const ofFirst = readToEnd(await played.next());
    const next = await TestTerminal.attach(rig, { key, attachmentId, holdMs: 60_000 });
    t.is((await ofFirst).end, 'ECONNRESET');
    const { stream } = await next.connected(played.number);
    const ofNext = await played.next();
    if (left) {
      next.lose();
      await until('it is suspended', () => rig.agent.heldCount === 1);
    }
    await t.throwsAsync(terminal.reattach(), { code: 'terminal-restarted' });
    if (left) await next.reattach();
    ofNext.write('still of the next one');
    await stream.got(21);
    t.is(rig.agent.attachedCount, 1);
  });

test('P4.6: an attachment that is still routed is not adopted', async t => {
  const attachmentId = randomBytes(16);
  const key = generateSigningKey();
  const { rig, terminal } = await suspended(t, { key, attachmentId });
  await terminal.reattach();
  await t.throwsAsync(TestTerminal.attach(rig, { key, attachmentId, holdMs: 60_000 }), { code: 'in-use' });
  t.is((await terminal.open()).code, 'ok');
});

test('P4.6: the id alone is nothing: with another key it names another attachment', async t => {
  const attachmentId = randomBytes(16);
  const { rig, terminal } = await suspended(t, { attachmentId }, terminal => terminal.open());
  const stranger = await TestTerminal.attach(rig, { attachmentId });
  t.deepEqual((await stranger.command({ verb: 'query', what: 'ports' })).ports, []);
  await terminal.reattach();
  t.is((await terminal.command({ verb: 'query', what: 'ports' })).ports?.length, 1);
});

for (const protocol of ['tcp', 'udp'] as const) {
  test(`P4.6: OPEN takes over a ${protocol} number that a suspended attachment of the same key holds`, async t => {
    const key = generateSigningKey();
    let number = 0;
    const { rig, terminal } = await suspended(t, { key }, async before => {
      number = (await before.open({ protocol })).number ?? 0;
    });
    const wanted = { protocol, number, choice: 'mandatory' } as const;
    const stranger = await TestTerminal.attach(rig);
    t.is((await stranger.open(wanted)).code, 'port-in-use');
    const next = await TestTerminal.attach(rig, { key });
    await untilFree(async () => (await next.open(wanted)).code === 'ok');
    await terminal.reattach();
    t.deepEqual((await terminal.command({ verb: 'query', what: 'ports' })).ports, []);
    t.is((await terminal.open(wanted)).code, 'port-in-use');
  });
}

test('P4.6: a listener whose number is taken over is closed, its connections are reset', async t => {
  const key = generateSigningKey();
  let [number, stream] = [0, 0];
  let end: ReturnType<typeof readToEnd> | undefined;
  const { rig, terminal } = await suspended(t, { key }, async before => {
    const opened = await before.open();
    number = opened.number ?? 0;
    await before.listen(opened.port ?? 0);
    end = readToEnd(await dialIn(number));
    stream = (await before.event('connected')).stream;
  });
  const next = await TestTerminal.attach(rig, { key });
  const opened = await next.open({ number, choice: 'preferred' });
  t.is(opened.number, number);
  t.is((await end)?.end, 'ECONNRESET');
  await next.listen(opened.port ?? 0);
  await dialIn(number);
  await next.event('connected');
  await terminal.reattach();
  await terminal.streams.get(stream)?.heard('reset port-closed');
  t.is(terminal.events.filter(({ kind }) => kind === 'connected').length, 1);
});

test('P4.6: at most 4 attachments of a key are suspended; the first gives way to the fifth', async t => {
  const key = generateSigningKey();
  const { rig, terminal } = await suspended(t, { key }, before => before.open());
  const others = await Promise.all([1, 2, 3].map(() => TestTerminal.attach(rig, { key, holdMs: 60_000 })));
  const stranger = await TestTerminal.attach(rig, { holdMs: 60_000 });
  for (const each of [...others, stranger]) each.lose();
  await until('five are suspended', () => rig.agent.heldCount === 5);
  const fifth = await TestTerminal.attach(rig, { key, holdMs: 60_000 });
  fifth.lose();
  await until('the first has given way', () => rig.agent.attachedCount === 0 && rig.agent.heldCount === 5);
  await terminal.reattach();
  t.is(await terminal.gone.promise, 'terminal-gone');
  t.true(budgetsAreWhole(rig));
});

test('P4.6: a number is taken over also where the grant allows no more ports', async t => {
  const key = generateSigningKey();
  let number = 0;
  const { rig, terminal } = await suspended(t, { key, claims: { limits: { ports: 1 } } }, async before => {
    number = (await before.open()).number ?? 0;
  });
  const next = await TestTerminal.attach(rig, { key, grant: terminal.grant });
  t.is((await next.open()).code, 'limit');
  await untilFree(async () => (await next.open({ number, choice: 'mandatory' })).code === 'ok');
  t.is((await next.open()).code, 'limit');
});
