import { once } from 'node:events';
import type { Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import { device, eventsUntilClose, readAll } from './testing/devices.ts';
import { eventually } from './testing/eventually.ts';
import { heldLab, settle } from './testing/held-lab.ts';
import { currentGrant, nowS } from './testing/lab.ts';
import type { TunnelError } from './tunnel-error.ts';

const host = '127.0.0.1';

async function connected(t: ExecutionContext, attachment: Awaited<ReturnType<typeof heldLab>>['attachment']) {
  const accepted: Socket[] = [];
  const { port } = await device(t, socket => void accepted.push(socket));
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  await eventually('the device has it', () => accepted.length === 1);
  const [atDevice] = accepted;
  if (atDevice === undefined) throw new Error('no connection');
  return { socket, atDevice };
}

test('P4.6: at the end of the hold every socket has an error and close(true), never an end', async t => {
  const clock = fakeClock();
  const { attachment, told, goAway } = await heldLab(t, 120_000, { clock });
  t.is(attachment.holdMs, 120_000);
  const { socket } = await connected(t, attachment);
  const events = eventsUntilClose(socket, ['end', 'error']);
  await goAway();
  const { since, until } = attachment.suspended ?? {};
  t.is((until?.getTime() ?? 0) - (since?.getTime() ?? 0), 120_000);
  const asked = attachment.ports();
  clock.advance(119_999);
  await settle();
  t.deepEqual(told, ['suspended link-lost']);
  const closed = once(attachment, 'closed');
  clock.advance(1);
  const [{ error }] = (await closed) as [{ error: TunnelError }];
  t.like(error, { reason: 'terminal-gone', by: 'terminal' });
  t.regex(error.message, /gw-1 could not be reached again within 120 s/);
  await t.throwsAsync(asked, { code: 'ECONNRESET' });
  t.like(await events, [
    { name: 'error', args: [{ reason: 'terminal-gone', code: 'ECONNRESET' }] },
    { name: 'close', args: [true] },
  ]);
});

test('P4.6: attempts that fail follow one another ever more slowly, and do not extend the hold', async t => {
  const clock = fakeClock();
  const { attachment, server, told, goAway, tellOnline } = await heldLab(t, 60_000, { clock });
  await goAway();
  server.refuseAttach = 'limit';
  await tellOnline();
  const attempts: number[] = [];
  for (let second = 1; second <= 59; second++) {
    clock.advance(1_000);
    await settle();
    attempts.push(server.refusedAttaches);
  }
  t.true((attempts[2] ?? 0) >= 3, 'three attempts within 3 s');
  t.true((attempts.at(-1) ?? 0) <= 20, `${attempts.at(-1)} attempts within a minute`);
  t.true((attempts.at(-1) ?? 0) > (attempts[40] ?? 0), 'it goes on trying');
  t.deepEqual(told, ['suspended link-lost']);
  clock.advance(1_000);
  await settle();
  t.deepEqual(told, ['suspended link-lost', 'closed terminal-gone']);
  t.true(attachment.closed);
});

for (const code of [
  'grant-revoked',
  'grant-expired',
  'key-revoked',
  'consent-required',
  'outside-hours',
] as const)
  test(`P4.3: ${code} at an attempt is the end at once, and said`, async t => {
    const { attachment, server, told, goAway, tellOnline } = await heldLab(t);
    await goAway();
    server.refuseAttach = code;
    await tellOnline();
    await eventually('the end', () => attachment.closed);
    t.deepEqual(told, ['suspended link-lost', `closed ${code}`]);
  });

for (const code of ['grant-expired', 'terminal-gone', 'cannot-resume'] as const)
  test(`P4.6: DETACH with ${code} is the end at once, whatever is held`, async t => {
    const { attachment, server, told } = await heldLab(t);
    await attachment.ports();
    server.detach(code satisfies ErrorCode);
    await eventually('the end', () => attachment.closed);
    t.deepEqual(told, [`closed ${code}`]);
  });

test('P6.3: a grant that runs out while nobody can be reached is the end when its time comes', async t => {
  const clock = fakeClock();
  const tenHoursMs = 36_000_000;
  const { told, goAway } = await heldLab(t, tenHoursMs, { clock }, { holdMs: tenHoursMs });
  await goAway();
  clock.advance(3_500_000);
  await settle();
  t.deepEqual(told, ['suspended link-lost']);
  // Of the grant, whose time is the system's.
  clock.advance(200_000 + performance.now());
  await eventually('the end', () => told.length > 1);
  t.deepEqual(told, ['suspended link-lost', 'closed grant-expired']);
});

test('P4.2: each attempt chooses its grant anew, so that one which came meanwhile counts', async t => {
  const grants = [await currentGrant({ jti: 'grant-old' })];
  const { attachment, server, trust, goAway, comeBack } = await heldLab(t, 60_000, { grants });
  t.is(attachment.peer.grant, 'grant-old');
  await goAway();
  const newer = await currentGrant({ jti: 'grant-newer', exp: nowS() + 7200 });
  await trust.accept([newer]);
  await comeBack();
  t.is(server.attaches.at(-1)?.grant, newer);
  t.is(attachment.peer.grant, 'grant-newer');
});

test('a mediator that was restarted: mediator-restarted for attachment and sockets, and its label is freed', async t => {
  const { attachment, server, told, goAway, tellOnline } = await heldLab(t);
  const { socket } = await connected(t, attachment);
  const events = eventsUntilClose(socket, ['end', 'error']);
  await goAway();
  server.restartMediator();
  await tellOnline();
  t.like(await events, [
    { name: 'error', args: [{ reason: 'mediator-restarted' }] },
    { name: 'close', args: [true] },
  ]);
  t.deepEqual(told, ['suspended link-lost', 'closed mediator-restarted']);
  await eventually('the label is freed', () => server.detached.length === 1);
});

test('P3.7: commands wait for the way, run once, and their time-outs stand still', async t => {
  const clock = fakeClock();
  const { attachment, server, goAway, comeBack } = await heldLab(t, 600_000, { clock });
  server.mediator.silent.add('query');
  const unanswered = attachment.ports();
  await eventually('QUERY has come', () => server.mediator.commands.length === 1);
  clock.advance(20_000);
  await goAway();
  const waiting = attachment.open({ protocol: 'tcp', number: 8000 });
  clock.advance(300_000);
  await settle();
  await comeBack();
  t.is((await waiting).number, 8000);
  clock.advance(9_999);
  await settle();
  const late = t.throwsAsync(unanswered, { code: 'ETIMEDOUT' });
  clock.advance(1);
  await late;
  t.deepEqual(
    server.mediator.commands.map(({ verb }) => verb),
    ['query', 'open'],
  );
});

test('a command that is aborted while it waits is told so at once', async t => {
  const { attachment, goAway, comeBack } = await heldLab(t);
  await goAway();
  const controller = new AbortController();
  const opening = attachment.open({ protocol: 'tcp', signal: controller.signal });
  controller.abort();
  await t.throwsAsync(opening, { name: 'AbortError' });
  await comeBack();
  await attachment.ports();
  t.deepEqual(await attachment.ports(), []);
});

test('what a socket was given before it was closed arrives, however long the way was lost', async t => {
  const clock = fakeClock();
  const { attachment, goAway, comeBack } = await heldLab(t, 600_000, { clock });
  const { socket, atDevice } = await connected(t, attachment);
  await goAway();
  const all = readAll(atDevice);
  socket.write('the last word');
  socket.destroy();
  // Longer than a closed socket's bytes are kept for a peer that does not take them.
  clock.advance(300_000);
  await settle();
  await comeBack();
  t.is(String(await all), 'the last word');
});

test('a label that is lost again before the mediator has spoken: one suspension, and it goes on', async t => {
  const { attachment, server, told, goAway, comeBack, tellOnline } = await heldLab(t);
  await attachment.ports();
  await goAway();
  server.deaf = true;
  await tellOnline();
  await eventually('an attempt', () => server.attaches.length === 2);
  await settle();
  server.deaf = false;
  await goAway();
  await comeBack();
  t.deepEqual(told, ['suspended link-lost', 'resumed']);
  const attempts = server.attaches.map(({ attempt }) => attempt);
  t.is(attempts.length, 3);
  t.deepEqual(
    attempts,
    [...new Set(attempts)].sort((a, b) => a - b),
  );
  t.deepEqual(await attachment.ports(), []);
});

test('an attempt that the mediator found too slow is made again (P4.2)', async t => {
  const { attachment, server, told, goAway, tellOnline } = await heldLab(t);
  await attachment.ports();
  await goAway();
  server.deaf = true;
  await tellOnline();
  await eventually('an attempt', () => server.attaches.length === 2);
  await settle();
  server.deaf = false;
  server.detachAttempts('too-slow');
  await eventually('it goes on', () => told.at(-1) === 'resumed');
  t.deepEqual(await attachment.ports(), []);
});

test('detach() while the way is lost closes sockets without an error, and nothing comes back', async t => {
  const { attachment, server, told, goAway, tellOnline } = await heldLab(t);
  const { socket } = await connected(t, attachment);
  const events = eventsUntilClose(socket, ['end', 'error']);
  await goAway();
  attachment.detach();
  t.deepEqual(await events, [{ name: 'close', args: [false] }]);
  await tellOnline();
  await settle();
  t.is(server.attaches.length, 1);
  t.deepEqual(told, ['suspended link-lost', 'closed detached']);
});

test('detach() while an attempt waits for its answer frees the label', async t => {
  const { attachment, server, goAway, tellOnline } = await heldLab(t);
  await goAway();
  server.silentAttach = true;
  await tellOnline();
  await eventually('an attempt', () => server.attaches.length === 2);
  attachment.detach();
  await eventually('DETACH', () => server.detached.length === 1);
  t.true(attachment.closed);
});

test('datagrams are lost while there is no way, and go on with it', async t => {
  const { attachment, goAway, comeBack } = await heldLab(t);
  const udp = await attachment.createUdpSocket({ address: host });
  const echo = await attachment.createUdpSocket({ address: host });
  const got: string[] = [];
  echo.on('message', bytes => void got.push(String(bytes)));
  await goAway();
  udp.send('lost', echo.address().port, host);
  await comeBack();
  udp.send('comes', echo.address().port, host);
  await eventually('a datagram', () => got.length > 0);
  t.deepEqual(got, ['comes']);
});
