import dgram from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { eventsUntilClose, pattern } from './testing/devices.ts';
import { attachedLab } from './testing/lab.ts';

const host = '127.0.0.1';

async function echo(t: ExecutionContext): Promise<number> {
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(0, host);
  await once(socket, 'listening');
  t.teardown(() => void socket.close());
  return socket.address().port;
}

test('a datagram and its answer: message, rinfo, address, callback', async t => {
  const { attachment } = await attachedLab(t);
  const port = await echo(t);
  const socket = await attachment.createUdpSocket({ address: host });
  t.is(socket.address().address, host);
  t.is(socket.address().family, 'IPv4');
  const sent = new Promise(resolve => {
    socket.send('hello', port, host, (error, bytes) => resolve([error, bytes]));
  });
  const [message, remote] = await once(socket, 'message');
  t.is(message.toString(), 'hello');
  t.deepEqual(remote, { address: host, family: 'IPv4', port, size: 5, localAddress: undefined });
  t.deepEqual(await sent, [null, 5]);
});

test('send takes what dgram takes: slices, lists, strings, and names that the mediator resolves', async t => {
  const { attachment } = await attachedLab(t);
  const port = await echo(t);
  const socket = await attachment.createUdpSocket({ address: host });
  const answers: string[] = [];
  const done = new Promise<void>(resolve => {
    socket.on('message', message => answers.push(message.toString()) === 4 && resolve());
  });
  socket.send(Buffer.from('0123456789'), 3, 4, port, host);
  socket.send(['a', Buffer.from('b'), new Uint8Array([99])], port, host);
  socket.send(new Uint8Array([100, 101]), port, host);
  socket.send('by name', port, 'device.lan');
  await done;
  t.deepEqual(answers.sort(), ['3456', 'abc', 'by name', 'de']);
});

for (const size of [0, 1, 1472, 16_372, 65_507]) {
  test(`a datagram of ${size} bytes crosses whole both ways`, async t => {
    const { attachment } = await attachedLab(t);
    const port = await echo(t);
    const socket = await attachment.createUdpSocket({ address: host });
    socket.send(pattern(size), port, host);
    const [message] = await once(socket, 'message');
    t.true(pattern(size).equals(message));
  });
}

test('what cannot be sent is an error of the callback, or of the socket without one', async t => {
  const { attachment } = await attachedLab(t);
  const socket = await attachment.createUdpSocket({ address: host });
  const failed = new Promise(resolve => socket.send(Buffer.alloc(65_508), 9, host, resolve));
  t.like(await failed, { code: 'EMSGSIZE' });
  socket.send('x', 0, host);
  t.like((await once(socket, 'error'))[0], { reason: 'bad-request' });
  socket.send('x', 9, 'nowhere.lan');
  t.like((await once(socket, 'error'))[0], { code: 'ENOTFOUND' });
  t.throws(() => socket.send(Buffer.from('abc'), 2, 2, 9, host), { code: 'bad-request' });
});

test('close() closes the port; the attachment’s end is error and then close', async t => {
  const { attachment, server } = await attachedLab(t);
  const first = await attachment.createUdpSocket({ address: host });
  const closed = once(first, 'close');
  t.is((await attachment.ports()).length, 1);
  first.close();
  await closed;
  t.is((await attachment.ports()).length, 0);
  t.throws(() => first.address(), { code: 'wrong-state' });
  const second = await attachment.createUdpSocket({ address: host });
  const seen = eventsUntilClose(second, ['error']);
  server.unroute();
  t.like((await seen)[0]?.args[0], { reason: 'link-lost' });
});
