import { randomBytes } from 'node:crypto';
import test from 'ava';
import { until } from '../native/test-sockets.ts';
import { detach } from '../wire/messages/attach.ts';
import { frameType } from '../wire/spec.ts';
import { dialIn, pattern, readToEnd } from './testing/devices.ts';
import { makeRig, type Rig } from './testing/rig.ts';
import { attached, budgetsAreWhole, playing, suspended } from './testing/set-up.ts';
import { TestTerminal } from './testing/test-terminal.ts';

const minuteMs = 60_000;

test('P4.4: streams, ports and commands go on after the terminal’s link was lost, and no byte is lost', async t => {
  const { rig, terminal } = await attached(t, { holdMs: 2 * minuteMs });
  const played = await playing(t);
  const { stream, port } = await terminal.connected(played.number);
  const socket = await played.next();
  const [up, down] = [pattern(40_000, 1), pattern(40_000, 2)];
  const received: Buffer[] = [];
  socket.on('data', piece => received.push(piece));
  const sending = stream.sendAll(up);
  terminal.lose();
  socket.write(down);
  await until('it is suspended', () => rig.agent.heldCount === 1);
  const opening = terminal.open();
  await terminal.reattach();
  await sending;
  await stream.got(down.length);
  t.true(Buffer.concat(stream.pieces).equals(down));
  await until('all has come', () => Buffer.concat(received).length === up.length);
  t.true(Buffer.concat(received).equals(up));
  t.is((await opening).code, 'ok');
  const listing = await terminal.command({ verb: 'query', what: 'ports' });
  t.like(listing.ports?.[0], { port, state: 'client', streams: 1 });
  const end = readToEnd(socket);
  stream.stream.finish();
  t.is((await end).end, 'fin');
});

test('P4.3: the loss of the mediator’s own link suspends all, and they go on over the next', async t => {
  const { rig, terminal } = await attached(t, { holdMs: 2 * minuteMs });
  const other = await TestTerminal.attach(rig, { holdMs: 2 * minuteMs });
  const brief = await TestTerminal.attach(rig, { holdMs: 0 });
  const played = await playing(t, socket => socket.pipe(socket));
  const { stream } = await terminal.connected(played.number);
  await played.next();
  await brief.connected(played.number);
  const ending = readToEnd(await played.next());
  await other.open();
  await rig.relink();
  t.is(rig.agent.heldCount, 2);
  t.is((await ending).end, 'ECONNRESET');
  for (const each of [terminal, other]) each.attachment.suspend();
  stream.stream.send(Buffer.from('while away'));
  await terminal.reattach();
  await other.reattach();
  await stream.got(10);
  t.is(stream.text, 'while away');
  t.is((await other.command({ verb: 'query', what: 'ports' })).ports?.length, 1);
  t.deepEqual([rig.agent.attachedCount, rig.agent.heldCount], [2, 0]);
});

test('P4.6: the mediator gives the hold that is asked for, at most its own', async t => {
  const rig = await makeRig({ maxHoldMs: 5 * minuteMs });
  t.teardown(() => rig.close());
  const asked = [0, 2 * minuteMs, 60 * minuteMs];
  const given = await Promise.all(
    asked.map(async holdMs => (await TestTerminal.attach(rig, { holdMs })).holdMs),
  );
  t.deepEqual(given, [0, 2 * minuteMs, 5 * minuteMs]);
});

test('P4.6: at the end of the hold connections get RST, numbers are free, and memory is given back', async t => {
  const played = await playing(t);
  let number = 0;
  const { rig, clock } = await suspended(t, {}, async terminal => {
    await terminal.connected(played.number);
    const opened = await terminal.open();
    number = opened.number ?? 0;
    await terminal.listen(opened.port ?? 0);
  });
  const end = readToEnd(await played.next());
  clock.advance(2 * minuteMs - 1);
  t.is(rig.agent.heldCount, 1);
  clock.advance(1);
  t.is(rig.agent.heldCount, 0);
  t.is((await end).end, 'ECONNRESET');
  await t.throwsAsync(dialIn(number), { code: 'ECONNREFUSED' });
  t.true(budgetsAreWhole(rig));
  const next = await TestTerminal.attach(rig);
  t.is((await next.open({ number, choice: 'mandatory' })).code, 'ok');
});

test('P4.6: attempts that fail do not extend the hold', async t => {
  const { rig, terminal, clock } = await suspended(t);
  clock.advance(minuteMs);
  await t.throwsAsync(terminal.reattach({ attempt: 1 }), { code: 'in-use' });
  clock.advance(minuteMs);
  t.is(rig.agent.heldCount, 0);
});

test('P4.2: an attempt that does not prove itself leaves the attachment suspended, until its time', async t => {
  const [attachmentId, instance] = [randomBytes(16), randomBytes(16)];
  const { rig, terminal, clock } = await suspended(t, { attachmentId, instance });
  const { grant } = rig.newKey();
  await t.throwsAsync(TestTerminal.attach(rig, { grant, attachmentId, instance, attempt: 9 }));
  await terminal.reattach();
  t.is((await terminal.open()).code, 'ok');
  t.deepEqual([rig.agent.attachedCount, rig.agent.heldCount], [1, 0]);
  clock.advance(3 * minuteMs);
  t.is(rig.agent.attachedCount, 1);
});

test('P4.2: a later attempt takes over from a label that the server still holds', async t => {
  const { rig, terminal } = await attached(t, { holdMs: minuteMs });
  const played = await playing(t, socket => socket.pipe(socket));
  const { stream } = await terminal.connected(played.number);
  await terminal.reattach();
  stream.stream.send(Buffer.from('on the second label'));
  await stream.got(19);
  t.is(rig.agent.attachedCount, 1);
  await t.throwsAsync(terminal.reattach({ attempt: 2 }), { code: 'in-use' });
  stream.stream.send(Buffer.from('.'));
  await stream.got(20);
});

test('P4.4: an attachment that was held and is no more ends with terminal-gone when its terminal goes on', async t => {
  const { terminal, clock } = await suspended(t, {}, terminal => terminal.open());
  clock.advance(2 * minuteMs);
  await terminal.reattach();
  t.is(await terminal.gone.promise, 'terminal-gone');
});

test('P4.4: through thirty breaks of every kind each byte comes once and in order, both ways', async t => {
  const { rig, terminal } = await attached(t, { holdMs: 2 * minuteMs });
  const played = await playing(t);
  const { stream } = await terminal.connected(played.number);
  const socket = await played.next();
  const [up, down] = [pattern(3_000_000, 1), pattern(3_000_000, 2)];
  const received: Buffer[] = [];
  let receivedBytes = 0;
  socket.on('data', piece => {
    received.push(piece);
    receivedBytes += piece.length;
  });
  socket.end(down);
  const sending = stream.sendAll(up).then(() => stream.stream.finish());
  const breaks = [
    () => terminal.lose(),
    () => rig.relink(),
    // The server has not noticed yet: the label before is still there.
    () => {},
  ];
  for (let count = 0; count < 30; count++) {
    const before = receivedBytes + stream.length;
    await breaks[count % breaks.length]?.();
    await terminal.reattach();
    const moved = () => receivedBytes + stream.length > before || receivedBytes === up.length;
    await until(`bytes move after break ${count}`, moved);
  }
  await sending;
  await stream.heard('fin');
  t.true(Buffer.concat(stream.pieces).equals(down));
  await until('all has come', () => receivedBytes === up.length);
  t.true(Buffer.concat(received).equals(up));
  await stream.heard('finished');
  t.true(terminal.attachment.resentBytes > 0);
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

const farewells: Readonly<Record<string, (rig: Rig, label: number) => void>> = {
  DETACH: (rig, label) => rig.server.driver.send(frameType.detach, detach.toBytes({ label })),
  'a broken rule': (rig, label) => rig.server.forge(frameType.result, label, 0, Buffer.alloc(64)),
};

for (const [what, say] of Object.entries(farewells)) {
  test(`P4.6: ${what} ends an attachment at once, whatever its hold`, async t => {
    const { rig, terminal } = await attached(t, { holdMs: 2 * minuteMs });
    const played = await playing(t);
    await terminal.connected(played.number);
    const end = readToEnd(await played.next());
    say(rig, terminal.label);
    t.is((await end).end, 'ECONNRESET');
    t.deepEqual([rig.agent.attachedCount, rig.agent.heldCount], [0, 0]);
    t.true(budgetsAreWhole(rig));
  });
}
