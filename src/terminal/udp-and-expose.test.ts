import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { Report } from '../wire/messages/report.ts';
import type { Carrier } from '../wire/messages/shared.ts';
import { exposeTcp } from './expose-tcp.ts';
import { exposeUdp } from './expose-udp.ts';
import { forwardUdp } from './forward-udp.ts';
import { device, freePort, pattern, readAll } from './testing/devices.ts';
import { eventually } from './testing/eventually.ts';
import { keptLab } from './testing/keeper.ts';
import { mediatorEntry } from './testing/lab.ts';

const host = '127.0.0.1';

/** Loopback as the LAN, so that the fake mediator can bind it. */
const report: Report = {
  hostname: 'gw',
  interfaces: [
    { name: 'wan', up: true, addresses: [{ address: '203.0.113.9', prefixLength: 24 }], lan: false },
    { name: 'br-lan', up: true, addresses: [{ address: host, prefixLength: 8 }], lan: true },
  ],
  routes: [],
  bootId: Buffer.alloc(16),
  uptimeS: 1,
  services: [],
  software: 'test',
};

async function udp(
  t: ExecutionContext,
  onMessage: (socket: dgram.Socket, bytes: Buffer, from: dgram.RemoteInfo) => void,
  address = host,
) {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (bytes, from) => onMessage(socket, bytes, from));
  socket.bind(0, address);
  await once(socket, 'listening');
  t.teardown(() => void socket.close());
  return socket;
}

const echo = (socket: dgram.Socket, bytes: Buffer, from: dgram.RemoteInfo) =>
  socket.send(bytes, from.port, from.address);

test('UDP: every local client has its own port on the mediator, and gets its own answers', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  await kept.keeper.attached(AbortSignal.timeout(5000));
  const seenFrom = new Set<number>();
  const target = await udp(t, (socket, bytes, from) => {
    seenFrom.add(from.port);
    echo(socket, bytes, from);
  });
  const forward = await forwardUdp({
    source: kept.keeper,
    listen: {},
    target: { host, port: target.address().port },
  });
  const told: Carrier[] = [];
  forward.on('channel', channel => told.push(channel));
  t.is(forward.channel, undefined);
  t.teardown(() => forward.close());
  const answers = await Promise.all(
    ['one', 'two'].map(async text => {
      const client = await udp(t, () => {});
      client.send(text, forward.address().port, forward.address().host);
      const [bytes] = await once(client, 'message');
      return String(bytes);
    }),
  );
  t.deepEqual(answers, ['one', 'two']);
  t.is(seenFrom.size, 2);
  // This mediator knows no REDIRECT.
  t.deepEqual([forward.channel, told], ['tcp', ['tcp']]);
  t.like(
    kept.server.mediator.commands.find(({ verb }) => verb === 'open'),
    { protocol: 'udp', address: host },
  );
});

test('UDP: answers from elsewhere than the target are not passed on', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  await kept.keeper.attached(AbortSignal.timeout(5000));
  const stranger = await udp(t, () => {}, '127.0.0.2');
  const target = await udp(t, (socket, bytes, from) => {
    stranger.send('forged', from.port, from.address, () => echo(socket, bytes, from));
  });
  const forward = await forwardUdp({
    source: kept.keeper,
    listen: {},
    target: { host: 'device.lan', port: target.address().port },
  });
  t.teardown(() => forward.close());
  const client = await udp(t, () => {});
  client.send('question', forward.address().port, host);
  t.is(String((await once(client, 'message'))[0]), 'question');
});

test('UDP: a target that answers from another number is answered there, by the client that asked and nobody else', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  await kept.keeper.attached(AbortSignal.timeout(5000));
  const heard: string[] = [];
  const transfer = await udp(t, (_socket, bytes) => heard.push(String(bytes)));
  const target = await udp(t, (_socket, bytes, from) => transfer.send(bytes, from.port, from.address));
  const forward = await forwardUdp({
    source: kept.keeper,
    listen: {},
    target: { host, port: target.address().port },
  });
  t.teardown(() => forward.close());
  const [client, other] = [await udp(t, () => {}), await udp(t, () => {})];
  client.send('read', forward.address().port, host);
  const [bytes, { port }] = (await once(client, 'message')) as [Buffer, dgram.RemoteInfo];
  t.is(String(bytes), 'read');
  t.not(port, forward.address().port);
  await new Promise(sent => other.send('forged', port, host, sent));
  client.send('acknowledged', port, host);
  await eventually('the answer arrives', () => heard.length > 0);
  t.deepEqual(heard, ['acknowledged']);
});

test('UDP: a client whose port was lost with the link gets a new one', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  await kept.keeper.attached(AbortSignal.timeout(5000));
  const target = await udp(t, echo);
  const forward = await forwardUdp({
    source: kept.keeper,
    listen: {},
    target: { host, port: target.address().port },
  });
  t.teardown(() => forward.close());
  const client = await udp(t, () => {});
  client.send('1', forward.address().port, host);
  await once(client, 'message');
  const again = once(kept.keeper, 'attached');
  kept.server.breakLink();
  await again;
  client.send('2', forward.address().port, host);
  t.is(String((await once(client, 'message'))[0]), '2');
});

test('expose: a device reaches a service of this machine on the mediator’s LAN address', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  const service = await device(t, socket => socket.pipe(socket));
  const port = await freePort();
  const exposed = exposeTcp({ source: kept.keeper, listen: { port }, target: { host, port: service.port } });
  t.deepEqual((await once(exposed, 'listening'))[0], { host, port });
  const bytes = pattern(2 * 1024 * 1024);
  const visitor = net.connect({ host, port, allowHalfOpen: true });
  visitor.end(bytes);
  t.true((await readAll(visitor)).equals(bytes));
  exposed.close();
  await eventually('the port is closed', () => kept.server.mediator.commands.at(-1)?.verb === 'close');
});

test('expose: a service that is not there is a RST for the device, and refused says why', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  const [port, nothing] = [await freePort(), await freePort()];
  const exposed = exposeTcp({ source: kept.keeper, listen: { port }, target: { host, port: nothing } });
  await once(exposed, 'listening');
  const refused = once(exposed, 'refused');
  const visitor = net.connect({ host, port });
  t.like((await once(visitor, 'error'))[0], { code: 'ECONNRESET' });
  t.like((await refused)[0], { error: { code: 'ECONNREFUSED' } });
  exposed.close();
});

test('expose: it listens again after a lost link, and a number that is still taken is tried again', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  const service = await device(t, socket => socket.end('hi'));
  const port = await freePort();
  const exposed = exposeTcp({ source: kept.keeper, listen: { port }, target: { host, port: service.port } });
  await once(exposed, 'listening');
  const again = once(exposed, 'listening');
  kept.server.mediator.close();
  kept.server.breakLink();
  await again;
  const visitor = net.connect({ host, port });
  t.is((await readAll(visitor)).toString(), 'hi');
  exposed.close();
});

test('expose: what the owner forbids is told once and not tried again; without a LAN address it says what to do', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  const attachment = await kept.keeper.attached(AbortSignal.timeout(5000));
  await attachment.ports();
  kept.server.mediator.refusals.set('open', 'not-permitted');
  const port = await freePort();
  const exposed = exposeTcp({ source: kept.keeper, listen: { port }, target: { host, port } });
  t.like((await once(exposed, 'failed'))[0], { code: 'EACCES' });
  const blind = await keptLab(t);
  const lost = exposeTcp({ source: blind.keeper, listen: { port }, target: { host, port } });
  const [error] = await once(lost, 'failed');
  t.is(error.code, 'EADDRNOTAVAIL');
  t.regex(error.message, /owner\.lan/);
});

test('expose UDP: devices are told apart by the local service, and get their answers', async t => {
  const kept = await keptLab(t, { entries: [await mediatorEntry({ report })] });
  const seenFrom = new Set<number>();
  const service = await udp(t, (socket, bytes, from) => {
    seenFrom.add(from.port);
    echo(socket, bytes, from);
  });
  const port = await freePort();
  const target = { host, port: service.address().port };
  const exposed = exposeUdp({ source: kept.keeper, listen: { port }, target });
  await once(exposed, 'listening');
  for (const text of ['a', 'b']) {
    const visitor = await udp(t, () => {});
    visitor.send(text, port, host);
    t.is(String((await once(visitor, 'message'))[0]), text);
  }
  t.is(seenFrom.size, 2);
  exposed.close();
});
