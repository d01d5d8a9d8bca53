import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import test from 'ava';
import { exposeTcp } from './expose-tcp.ts';
import { forwardTcp } from './forward-tcp.ts';
import { device, pattern, readAll } from './testing/devices.ts';
import { eventually } from './testing/eventually.ts';
import { keptLab } from './testing/keeper.ts';
import { mediatorEntry } from './testing/lab.ts';

const host = '127.0.0.1';

test('forward: a local connection stays open through a break, and the keeper keeps its attachment', async t => {
  const { keeper, server, statuses } = await keptLab(t);
  server.holdMs = 60_000;
  const atDevice: Socket[] = [];
  const { port } = await device(t, socket => void atDevice.push(socket));
  const forward = await forwardTcp({ source: keeper, listen: {}, target: { host, port } });
  t.teardown(() => forward.close());
  const client = net.connect({ ...forward.address(), allowHalfOpen: true });
  await eventually('the device has it', () => atDevice.length === 1);
  client.on('error', () => {});
  const attachment = keeper.current;
  server.tell({ entries: [await mediatorEntry({ online: false })] });
  server.unroute();
  await eventually('suspended', () => statuses.at(-1)?.state === 'suspended');
  const bytes = pattern(2_000_000);
  client.end(bytes);
  // A connection that comes while there is no way waits for it.
  const late = net.connect({ ...forward.address(), allowHalfOpen: true });
  late.on('error', () => {});
  late.end('late');
  await once(late, 'connect');
  server.tell({ entries: [await mediatorEntry()] });
  const [first] = atDevice;
  t.true(first !== undefined && (await readAll(first)).equals(bytes));
  await eventually('the late one', () => atDevice.length === 2);
  const [, second] = atDevice;
  t.is(second && String(await readAll(second)), 'late');
  t.is(keeper.current, attachment);
  t.deepEqual(
    statuses.map(({ state }) => state),
    ['waiting', 'attached', 'suspended', 'resumed'],
  );
  t.like(statuses[2], { mediator: 'gw-1', reason: 'link-lost' });
});

test('expose: the port listens on through a break, and what comes meanwhile is served after it', async t => {
  const { keeper, server } = await keptLab(t);
  server.holdMs = 60_000;
  const { port } = await device(t, socket => socket.end('served'));
  const exposed = exposeTcp({ source: keeper, listen: { address: host, port: 0 }, target: { host, port } });
  t.teardown(() => exposed.close());
  let listened = 0;
  exposed.on('listening', () => listened++);
  const [at] = (await once(exposed, 'listening')) as [{ port: number }];
  server.tell({ entries: [await mediatorEntry({ online: false })] });
  server.unroute();
  await eventually('suspended', () => keeper.current?.suspended !== undefined);
  const client = net.connect(at.port, host);
  await once(client, 'connect');
  server.tell({ entries: [await mediatorEntry()] });
  t.is(String(await readAll(client)), 'served');
  t.is(listened, 1);
});

test('when an attachment has ended for good the keeper makes a new one', async t => {
  const { keeper, server, statuses } = await keptLab(t);
  server.holdMs = 60_000;
  const [first] = await once(keeper, 'attached');
  server.restartMediator();
  server.unroute('link-lost');
  const [second] = await once(keeper, 'attached');
  t.not(second, first);
  t.deepEqual(
    statuses.map(({ state }) => state),
    ['waiting', 'attached', 'suspended', 'ended', 'attached'],
  );
});

test('three hundred breaks lose nothing and leave nothing behind', async t => {
  const { keeper, server, terminal } = await keptLab(t);
  server.holdMs = 60_000;
  const { port } = await device(t, socket => socket.pipe(socket));
  const [attachment] = await once(keeper, 'attached');
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  const sent: Buffer[] = [];
  const received: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => void received.push(bytes));
  const listeners = () =>
    [attachment, terminal, keeper, socket].flatMap(emitter =>
      emitter.eventNames().map((name: string) => `${name} ${emitter.listenerCount(name)}`),
    );
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
  const before = { listeners: listeners(), timers: 0 };
  for (let flap = 0; flap < 300; flap++) {
    const bytes = pattern(1_000 + flap * 7);
    sent.push(bytes);
    socket.write(bytes);
    const resumed = once(attachment, 'resumed');
    // A link that keeps breaking is waited for ever longer, so most breaks are the mediator's.
    if (flap % 100 === 99) server.breakLink();
    else server.unroute();
    await resumed;
    if (flap === 10) before.timers = timers();
  }
  const all = Buffer.concat(sent);
  await eventually(
    'every byte is back',
    () => received.reduce((sum, { length }) => sum + length, 0) >= all.length,
  );
  t.true(Buffer.concat(received).equals(all));
  t.is(server.mediators.length, 1);
  t.is(server.mediator.session.streamCount, 1);
  t.deepEqual(listeners(), before.listeners);
  t.true(timers() <= before.timers + 3, `${before.timers} timers became ${timers()}`);
  t.deepEqual(await attachment.ports().then((ports: unknown[]) => ports.length), 1);
});
