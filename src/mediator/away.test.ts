import dgram from 'node:dgram';
import type { Socket } from 'node:net';
import test from 'ava';
import { until } from '../native/test-sockets.ts';
import { parseOwnerPolicy } from '../policy/owner-policy.ts';
import { type DeviceEnd, dialIn, pattern, readToEnd } from './testing/devices.ts';
import { ownerTable, type Rig } from './testing/rig.ts';
import { attached, budgetsAreWhole, playing, suspended } from './testing/set-up.ts';
import type { TestTerminal } from './testing/test-terminal.ts';

/** What the LAN meets while the terminal is away (P4.7), and what ends that at once. */

async function listening(
  terminal: TestTerminal,
  fields: Parameters<TestTerminal['listen']>[1] = {},
): Promise<number> {
  const opened = await terminal.open();
  await terminal.listen(opened.port ?? 0, fields);
  return opened.number ?? 0;
}

/** How a connection to that number begins and ends, for a device that says nothing. */
async function fateOf(number: number): Promise<string> {
  try {
    return (await readToEnd(await dialIn(number))).end;
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
  }
}

/** Connects as soon as somebody listens. */
async function dialledInTime(number: number): Promise<void> {
  try {
    await dialIn(number);
  } catch {
    return dialledInTime(number);
  }
}

function connectedCount({ events }: TestTerminal): number {
  return events.filter(({ kind }) => kind === 'connected').length;
}

test('P4.7: a listener takes as many connections as its backlog, and all is there when the terminal is back', async t => {
  let number = 0;
  const { terminal } = await suspended(t, {}, async before => {
    number = await listening(before, { backlog: 3 });
  });
  const visitors: Socket[] = [];
  for (const name of ['first', 'second', 'third']) {
    const visitor = await dialIn(number);
    visitors.push(visitor);
    visitor.end(`${name} ${pattern(2000)}`);
  }
  t.is(await fateOf(number), 'ECONNRESET');
  t.is(connectedCount(terminal), 0);
  await terminal.reattach();
  await terminal.until(() => connectedCount(terminal) === 3);
  const streams = [...terminal.streams.values()];
  for (const stream of streams) await stream.heard('fin');
  t.deepEqual(
    streams.map(({ text }) => text.split(' ')[0]),
    ['first', 'second', 'third'],
  );
  const ends = visitors.map(readToEnd);
  for (const { stream } of streams) {
    stream.send(Buffer.from('welcome back'));
    stream.finish();
  }
  for (const end of ends) t.deepEqual(await end, { text: 'welcome back', end: 'fin' });
  // The backlog is whole again.
  await dialIn(number);
  await terminal.until(() => connectedCount(terminal) === 4);
});

test('P4.7: connections that ended while nobody was there are told of all the same', async t => {
  let number = 0;
  const { terminal } = await suspended(t, {}, async before => {
    number = await listening(before, { backlog: 2 });
  });
  (await dialIn(number)).resetAndDestroy();
  const visitor = await dialIn(number);
  visitor.end('gone');
  t.is(await fateOf(number), 'ECONNRESET');
  await terminal.reattach();
  await terminal.until(() => connectedCount(terminal) === 2);
  const [first, second] = [...terminal.streams.values()];
  await first?.until(() => first.told.length > 0);
  t.deepEqual(first?.told, ['reset peer-reset']);
  await second?.heard('fin');
  t.is(second?.text, 'gone');
});

test('P4.7: with whileAway false nobody can connect until the terminal is back, and the number stays its own', async t => {
  let number = 0;
  const { rig, terminal } = await suspended(t, {}, async before => {
    number = await listening(before, { whileAway: false });
  });
  t.is(await fateOf(number), 'ECONNREFUSED');
  t.is(rig.native.reserveTcp('127.0.0.1', number), 'EADDRINUSE');
  for (let time = 1; time <= 2; time++) {
    await terminal.reattach();
    await dialledInTime(number);
    await terminal.until(() => connectedCount(terminal) >= time);
    terminal.lose();
    await until('it is suspended', () => rig.agent.heldCount === 1);
    t.is(await fateOf(number), 'ECONNREFUSED');
  }
});

test('P3.3: while the terminal is away a device is read as far as the windows have room, and no further', async t => {
  const budgets = { receiveBudgetBytes: 1024 * 1024, replayBudgetBytes: 256 * 1024 };
  const played = await playing(t);
  const { rig, terminal } = await attached(t, { holdMs: 60_000, ...budgets });
  const { stream } = await terminal.connected(played.number);
  const device = await played.next();
  terminal.lose();
  await until('it is suspended', () => rig.agent.heldCount === 1);
  const all = pattern(4 * 1024 * 1024);
  device.write(all);
  await until('the kernel takes no more', () => device.writableLength > 0 && device.bytesWritten > 0);
  const { replay, receive } = rig.agent.budgets;
  t.true(replay.freeBytes >= 0 && receive.freeBytes > 0);
  t.is(stream.length, 0);
  await terminal.reattach();
  await stream.got(all.length);
  t.true(Buffer.concat(stream.pieces).equals(all));
});

test('P3.7: while stream 0 is full nothing more is accepted, and all of it once there is room', async t => {
  const budgetBytes = 2 * 1024 * 1024;
  const limits = { newStreamsPerSecond: 10_000, streams: 1000, ports: 100 };
  const options = { receiveBudgetBytes: budgetBytes, replayBudgetBytes: budgetBytes, claims: { limits } };
  const numbers: number[] = [];
  const { rig, terminal } = await suspended(t, options, async before => {
    for (let count = 0; count < 10; count++) numbers.push(await listening(before, { backlog: 32 }));
  });
  for (const number of numbers) await Promise.all(Array.from({ length: 32 }, () => dialIn(number)));
  // One more than the backlog is turned away when those before it have been looked at.
  for (const number of numbers) t.is(await fateOf(number), 'ECONNRESET');
  const { receive } = rig.agent.budgets;
  const streams = (receive.totalBytes - receive.freeBytes) / 4096;
  // RESULTs that the terminal had not acknowledged yet are in stream 0, too.
  t.true(streams > 200 && streams <= 256, `${streams} streams`);
  await terminal.reattach();
  await terminal.until(() => connectedCount(terminal) === 320);
});

test('P4.7: datagrams that came while the terminal was away are gone, and it is told how many', async t => {
  let [port, number] = [0, 0];
  const { terminal } = await suspended(t, {}, async before => {
    const opened = await before.open({ protocol: 'udp' });
    port = opened.port ?? 0;
    number = opened.number ?? 0;
  });
  const device = dgram.createSocket('udp4');
  t.teardown(() => device.close());
  for (const text of ['one', 'two', 'three'])
    await new Promise(sent => device.send(text, number, '127.0.0.1', sent));
  await terminal.reattach();
  const lost = await terminal.event('lost');
  t.like(lost, { port, count: 3 });
  t.deepEqual(terminal.datagrams, []);
  device.send('four', number, '127.0.0.1');
  await terminal.until(() => terminal.datagrams.length === 1);
});

const endings: Readonly<Record<string, { readonly code: string; act(rig: Rig): void }>> = {
  'its grant is revoked': {
    code: 'grant-revoked',
    act(rig) {
      rig.basis.trust = { ...rig.basis.trust, revokedGrants: new Set(['grant-1-rig']) };
      rig.agent.reauthorise();
    },
  },
  'the owner takes it back': {
    code: 'not-permitted',
    act(rig) {
      rig.basis.owner = parseOwnerPolicy({ ...ownerTable, purposes: ['service'] }, 'test');
      rig.agent.reauthorise();
    },
  },
  'the mediator stops': { code: 'ok', act: rig => rig.agent.stop() },
};

for (const [what, { code, act }] of Object.entries(endings)) {
  test(`P4.6: a suspended attachment ends at once when ${what}`, async t => {
    const played = await playing(t);
    let number = 0;
    let end: Promise<DeviceEnd> | undefined;
    const { rig, terminal } = await suspended(t, {}, async before => {
      await before.connected(played.number);
      end = readToEnd(await played.next());
      number = await listening(before);
    });
    act(rig);
    t.is(rig.agent.heldCount, 0);
    t.is((await end)?.end, 'ECONNRESET');
    t.is(await fateOf(number), 'ECONNREFUSED');
    t.true(budgetsAreWhole(rig));
    if (code !== 'ok') await t.throwsAsync(terminal.reattach(), { code });
  });
}

test('P6.3: a suspended attachment ends the moment its grant expires', async t => {
  const played = await playing(t);
  const { rig, terminal, clock } = await suspended(t, { lifeMs: 60_000, holdMs: 600_000 }, before =>
    before.connected(played.number),
  );
  const end = readToEnd(await played.next());
  clock.advance(59_999);
  t.is(rig.agent.heldCount, 1);
  clock.advance(1);
  t.is(rig.agent.heldCount, 0);
  t.is((await end).end, 'ECONNRESET');
  await t.throwsAsync(terminal.reattach(), { code: 'grant-expired' });
});

test('P4.2: on resume every port is authorised again, under the grant of the new attempt', async t => {
  const [kept, closed] = [await playing(t), await playing(t)];
  const { rig, terminal } = await suspended(t, {}, async before => {
    await before.connected(kept.number);
    await before.connected(closed.number);
  });
  const streams = [await kept.next(), await closed.next()];
  const end = readToEnd(streams[1] ?? t.fail());
  const narrow = rig.grant(terminal.key, {
    targets: { networks: ['loopback'], tcp: [`${kept.number}`], udp: [] },
  });
  await terminal.reattach({ grant: narrow });
  t.is((await end).end, 'ECONNRESET');
  const { ports = [] } = await terminal.command({ verb: 'query', what: 'ports' });
  t.is(ports.length, 1);
  const limits = (await terminal.command({ verb: 'query', what: 'limits' })).limits ?? [];
  t.deepEqual(
    limits.filter(({ name }) => name === 'ports' || name === 'streams').map(({ used }) => used),
    [1, 1],
  );
  t.is(rig.lines.at(-1)?.grant, narrow.id);
});
