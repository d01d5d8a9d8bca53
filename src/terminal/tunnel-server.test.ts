import { once } from 'node:events';
import net from 'node:net';
import test from 'ava';
import { eventsUntilClose, freePort, pattern, readAll } from './testing/devices.ts';
import { attachedLab } from './testing/lab.ts';
import type { TunnelServer } from './tunnel-server.ts';
import type { TunnelSocket } from './tunnel-socket.ts';

const host = '127.0.0.1';

function dial(server: TunnelServer): net.Socket {
  const socket = net.connect({ host, port: server.address()?.port ?? 0, allowHalfOpen: true });
  return socket.on('error', () => {});
}

test('a device connects to a listening port: connection, addresses, bytes both ways', async t => {
  const { attachment } = await attachedLab(t);
  const port = await freePort();
  const server = await attachment.listen({ address: host, port });
  await once(server, 'listening');
  t.deepEqual(server.address(), { address: host, family: 'IPv4', port });
  t.true(server.listening);
  server.on('connection', socket => socket.pipe(socket));
  const device = dial(server);
  device.end('ping');
  const localPort = once(device, 'connect').then(() => device.localPort);
  const connection: Promise<[TunnelSocket]> = once(server, 'connection') as Promise<[TunnelSocket]>;
  t.is((await readAll(device)).toString(), 'ping');
  const [socket] = await connection;
  t.is(socket.remoteAddress, host);
  t.is(socket.remotePort, await localPort);
  t.is(socket.localPort, port);
  t.false(socket.connecting);
});

test('S15: the event connected tells peer and stream, before any byte of it', async t => {
  const { attachment } = await attachedLab(t);
  const server = await attachment.listen({ address: host, port: await freePort() });
  const order: string[] = [];
  attachment.on('event', event => order.push(event.kind));
  server.on('connection', socket => {
    order.push('connection');
    socket.once('data', () => order.push('data'));
    socket.resume();
  });
  const device = dial(server);
  device.end('x');
  device.resume();
  await once(device, 'close');
  t.deepEqual(order.slice(0, 3), ['connected', 'connection', 'data']);
  t.true(order.includes('fin'));
});

test('connections that come before anybody listens for them wait', async t => {
  const { attachment } = await attachedLab(t);
  const server = await attachment.listen({ address: host, port: await freePort() });
  const device = dial(server);
  device.write('early');
  await once(attachment, 'event');
  const [socket] = await once(server, 'connection');
  t.is(String((await once(socket, 'data'))[0]), 'early');
  socket.destroy();
});

test('bulk from a device passes the first window that the listener announced', async t => {
  const { attachment } = await attachedLab(t);
  const server = await attachment.listen({ address: host, port: await freePort() });
  const bytes = pattern(3 * 1024 * 1024);
  const device = dial(server);
  device.end(bytes);
  const [socket] = await once(server, 'connection');
  t.true((await readAll(socket)).equals(bytes));
  socket.end();
});

test('close() lets open connections end, and says close when they have', async t => {
  const { attachment } = await attachedLab(t);
  const server = await attachment.listen({ address: host, port: await freePort() });
  const device = dial(server);
  const [socket] = await once(server, 'connection');
  const closed = once(server, 'close');
  server.close();
  t.false(server.listening);
  socket.write('still talking');
  t.is(String((await once(device, 'data'))[0]), 'still talking');
  server.getConnections((_error, count) => t.is(count, 1));
  socket.resume();
  socket.end();
  device.end();
  await closed;
  t.is(server.address(), null);
  const late = net.connect({ host, port: device.remotePort ?? 0 });
  t.like((await once(late, 'error'))[0], { code: 'ECONNREFUSED' });
});

test('beyond maxConnections a device is reset, and drop tells of it', async t => {
  const { attachment } = await attachedLab(t);
  const server = await attachment.listen({ address: host, port: await freePort() });
  server.maxConnections = 1;
  server.on('connection', socket => socket.on('error', () => {}));
  dial(server);
  await once(server, 'connection');
  const second = dial(server);
  const failed = once(second, 'error');
  const [dropped] = await once(server, 'drop');
  t.is(dropped.remoteAddress, host);
  t.like((await failed)[0], { code: 'ECONNRESET' });
});

test('a refused LISTEN is an error that says why, and the port is given back', async t => {
  const { attachment, server } = await attachedLab(t);
  server.mediator.refusals.set('listen', 'not-permitted');
  await t.throwsAsync(attachment.listen({ address: host, port: 8080 }), { code: 'EACCES' });
  await attachment.ports();
  t.is(server.mediator.commands.at(-2)?.verb, 'close');
  server.mediator.refusals.set('open', 'port-in-use');
  await t.throwsAsync(attachment.listen({ address: host, port: 8080 }), { code: 'EADDRINUSE' });
});

test('when the attachment ends, error and then close', async t => {
  const { attachment, server } = await attachedLab(t);
  const listening = await attachment.listen({ address: host, port: await freePort() });
  const seen = eventsUntilClose(listening, ['error']);
  server.unroute();
  const [error] = await seen;
  t.like(error?.args[0], { reason: 'link-lost' });
  t.false(listening.listening);
});

test('P3.8: a connection that arrives at a closed listener is reset, the attachment lives', async t => {
  const { attachment, server } = await attachedLab(t);
  const listening = await attachment.listen({ address: host, port: await freePort() });
  server.mediator.silent.add('close');
  listening.close();
  const device = dial(listening);
  t.like((await once(device, 'error'))[0], { code: 'ECONNRESET' });
  t.false(attachment.closed);
});

test('a listen that is aborted while it is answered closes the port again', async t => {
  const { attachment, server } = await attachedLab(t);
  const port = await freePort();
  const opened = await attachment.open({ protocol: 'tcp', address: host, number: port });
  const controller = new AbortController();
  const listening = opened.listen({ signal: controller.signal });
  controller.abort();
  await t.throwsAsync(listening, { name: 'AbortError' });
  await attachment.ports();
  await attachment.ports();
  t.true(server.mediator.commands.some(({ verb }) => verb === 'close'));
});
