import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net, { type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import { device, freePort, pattern, readAll } from '../testing/devices.ts';
import { eventually } from '../testing/eventually.ts';
import { keptLab } from '../testing/keeper.ts';
import { type LabOptions, mediatorEntry } from '../testing/lab.ts';
import { openSocks, type SocksDoor, type SocksOptions } from './socks-door.ts';
import { datagramHeader, parseDatagram, replyBytes } from './socks-messages.ts';

const host = '127.0.0.1';
const password = { user: 'anna', password: 'geheim' };
const loopback = { addresses: [{ address: host, prefixLength: 8 }], name: 'lo', up: true, lan: true };

async function door(t: ExecutionContext, options: Partial<SocksOptions> = {}, lab: LabOptions = {}) {
  const report = {
    hostname: 'gw',
    software: 'test',
    interfaces: [loopback],
    routes: [],
    services: [],
    bootId: Buffer.alloc(16),
    uptimeS: 1,
  };
  const entries = [await mediatorEntry({ report })];
  const kept = await keptLab(t, { entries, ...lab });
  await kept.keeper.attached(AbortSignal.timeout(10_000));
  const opened = await openSocks({ source: kept.keeper, listen: {}, password: undefined, ...options });
  t.teardown(() => opened.close());
  return { ...kept, door: opened };
}

function dial(to: SocksDoor): Socket {
  return net.connect({ ...to.address(), allowHalfOpen: true }).on('error', () => {});
}

/** Exactly so many bytes. */
async function take(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes: unknown = socket.read(length);
    if (bytes instanceof Buffer) return bytes;
    // A new listener for 'readable' is called at once while there are bytes, before any other comes.
    await new Promise(resolve => setImmediate(resolve));
  }
}

const noPassword = Buffer.from([5, 1, 0]);

/** `05 command 00` and where to. */
function request(command: number, address: string, port: number): Buffer {
  const bytes = replyBytes(command, address, port);
  return bytes;
}

function nameRequest(name: string, port: number): Buffer {
  return Buffer.concat([
    Buffer.from([5, 1, 0, 3, name.length]),
    Buffer.from(name),
    Buffer.from([port >> 8, port & 255]),
  ]);
}

async function greeted(to: SocksDoor): Promise<Socket> {
  const client = dial(to);
  client.write(noPassword);
  await take(client, 2);
  return client;
}

/** The code of the reply to a request. */
async function replyTo(to: SocksDoor, bytes: Buffer): Promise<number | undefined> {
  const client = await greeted(to);
  client.write(bytes);
  const reply = await take(client, 10);
  await readAll(client);
  return reply[1];
}

test('CONNECT by address joins the client with the target; half-close is kept', async t => {
  const { door: opened } = await door(t);
  const { port } = await device(t, async socket => socket.end(await readAll(socket)));
  const client = await greeted(opened);
  client.write(request(1, host, port));
  t.is((await take(client, 10))[1], 0);
  const bytes = pattern(3 * 1024 * 1024);
  client.end(bytes);
  t.true((await readAll(client)).equals(bytes));
});

test('CONNECT by name: the mediator resolves it', async t => {
  const { door: opened } = await door(t);
  const { port } = await device(t, socket => socket.end('here'));
  const client = await greeted(opened);
  client.write(nameRequest('device.lan', port));
  t.is((await take(client, 10))[1], 0);
  t.is((await readAll(client)).toString(), 'here');
});

test('a client that says all at once, or byte by byte, is understood', async t => {
  const { door: opened } = await door(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const said = Buffer.concat([noPassword, request(1, host, port), Buffer.from('and more')]);
  const hasty = dial(opened);
  hasty.end(said);
  const answer = await readAll(hasty);
  t.is(answer.subarray(12).toString(), 'and more');
  const slow = dial(opened);
  for (const byte of said) {
    slow.write(Buffer.of(byte));
    await new Promise(resolve => setImmediate(resolve));
  }
  slow.end();
  t.is((await readAll(slow)).subarray(12).toString(), 'and more');
});

test('what the mediator refuses is a reply with its reason, and told', async t => {
  const { door: opened, server } = await door(t);
  const refusals: string[] = [];
  opened.on('refused', ({ error, target }) => refusals.push(`${target?.host} ${error.message}`));
  t.is(await replyTo(opened, request(1, host, await freePort())), 5);
  t.is(await replyTo(opened, nameRequest('nobody.lan', 80)), 4);
  t.is(await replyTo(opened, nameRequest('no name', 80)), 1);
  server.mediator.refusals.set('connect', 'not-permitted');
  t.is(await replyTo(opened, request(1, host, 80)), 2);
  t.is(await replyTo(opened, request(9, host, 80)), 7);
  t.is(await replyTo(opened, Buffer.from([5, 1, 0, 9, 0])), 8);
  t.is(refusals.length, 4);
});

test('with a password only who knows it is served (RFC 1929)', async t => {
  const { door: opened } = await door(t, { password });
  const stranger = dial(opened);
  stranger.write(noPassword);
  t.deepEqual(await readAll(stranger), Buffer.from([5, 255]));
  const said = (word: string) =>
    Buffer.concat([
      Buffer.from([5, 2, 0, 2, 1, 4]),
      Buffer.from('anna'),
      Buffer.of(word.length),
      Buffer.from(word),
    ]);
  const wrong = dial(opened);
  wrong.write(said('gehein'));
  t.deepEqual(await readAll(wrong), Buffer.from([5, 2, 1, 1]));
  const { port } = await device(t, socket => socket.end('in'));
  const right = dial(opened);
  right.write(Buffer.concat([said('geheim'), request(1, host, port)]));
  t.is((await readAll(right)).subarray(14).toString(), 'in');
});

test('BIND: a listener on the mediator, and the first connection from the host that was named', async t => {
  const { door: opened } = await door(t);
  const client = await greeted(opened);
  client.write(request(2, '127.0.0.2', 0));
  const at = await take(client, 10);
  t.deepEqual([...at.subarray(0, 8)], [5, 0, 0, 1, 127, 0, 0, 1]);
  const port = at.readUInt16BE(8);
  const stranger = net
    .connect({ host, port })
    .on('error', () => {})
    .resume();
  await new Promise(resolve => stranger.once('close', resolve));
  const caller = net.connect({ host, port, localAddress: '127.0.0.2' }).on('error', () => {});
  const from = await take(client, 10);
  t.deepEqual([...from.subarray(0, 8)], [5, 0, 0, 1, 127, 0, 0, 2]);
  t.is(from.readUInt16BE(8), caller.localPort ?? 0);
  caller.end('active');
  t.is((await readAll(client)).toString(), 'active');
  client.end();
});

test('the listener of BIND goes with the client that has not waited', async t => {
  const { door: opened, server } = await door(t);
  const client = await greeted(opened);
  client.write(request(2, host, 0));
  await take(client, 10);
  client.destroy();
  await eventually('the port is closed', () => server.mediator.commands.some(({ verb }) => verb === 'close'));
  t.pass();
});

async function udpDevice(t: ExecutionContext): Promise<number> {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (bytes, { port, address }) => socket.send(`got ${bytes}`, port, address));
  socket.bind(0, host);
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return socket.address().port;
}

async function associated(t: ExecutionContext, opened: SocksDoor) {
  const control = await greeted(opened);
  control.write(request(3, '0.0.0.0', 0));
  const port = (await take(control, 10)).readUInt16BE(8);
  const socket = dgram.createSocket('udp4');
  socket.connect(port, host);
  await once(socket, 'connect');
  t.teardown(() => socket.close());
  return { control, socket, port };
}

test('UDP ASSOCIATE: datagrams to any target, by address and name, and the answers', async t => {
  const { door: opened } = await door(t);
  const port = await udpDevice(t);
  const { control, socket } = await associated(t, opened);
  socket.send([datagramHeader(host, port), Buffer.from('one')]);
  const [first]: Buffer[] = await once(socket, 'message');
  t.deepEqual(parseDatagram(first ?? Buffer.alloc(0)), {
    target: { host, port },
    content: Buffer.from('got one'),
  });
  const name = Buffer.from('device.lan');
  const named = Buffer.concat([
    Buffer.from([0, 0, 0, 3, name.length]),
    name,
    Buffer.from([port >> 8, port & 255]),
  ]);
  socket.send(Buffer.concat([named, Buffer.from('two')]));
  const [second]: Buffer[] = await once(socket, 'message');
  t.is(parseDatagram(second ?? Buffer.alloc(0))?.content.toString(), 'got two');
  control.end();
});

test('UDP ASSOCIATE: fragments and strangers are not heard, and the ports go with the connection', async t => {
  const { door: opened, server } = await door(t);
  const port = await udpDevice(t);
  const { control, socket, port: local } = await associated(t, opened);
  const fragment = datagramHeader(host, port);
  fragment[2] = 1;
  socket.send([fragment, Buffer.from('fragment')]);
  socket.send([datagramHeader(host, port), Buffer.from('mine')]);
  const [answer]: Buffer[] = await once(socket, 'message');
  t.is(parseDatagram(answer ?? Buffer.alloc(0))?.content.toString(), 'got mine');
  const stranger = dgram.createSocket('udp4').on('message', () => t.fail('a stranger was served'));
  t.teardown(() => stranger.close());
  stranger.send([datagramHeader(host, port), Buffer.from('theirs')], local, host);
  socket.send([datagramHeader(host, port), Buffer.from('again')]);
  await once(socket, 'message');
  control.destroy();
  await eventually('the port is closed', () => server.mediator.commands.some(({ verb }) => verb === 'close'));
});

async function connectBy(opened: SocksDoor, path: string, headers: http.OutgoingHttpHeaders = {}) {
  const asking = http.request({ ...opened.address(), method: 'CONNECT', path, headers });
  asking.end();
  const [response, socket, head]: [http.IncomingMessage, Socket, Buffer] = (await once(
    asking,
    'connect',
  )) as never;
  socket.on('error', () => {});
  if (head.length > 0) socket.unshift(head);
  return { status: response.statusCode, socket };
}

test('HTTP CONNECT on the same number joins the client with the target', async t => {
  const { door: opened } = await door(t);
  const { port } = await device(t, async socket => socket.end(await readAll(socket)));
  const { status, socket } = await connectBy(opened, `device.lan:${port}`);
  t.is(status, 200);
  const bytes = pattern(1024 * 1024);
  socket.end(bytes);
  t.true((await readAll(socket)).equals(bytes));
});

test('HTTP: what is refused has a status, a sentence, and no connection', async t => {
  const { door: opened } = await door(t, { password });
  const authorization = `Basic ${Buffer.from('anna:geheim').toString('base64')}`;
  const allowed = { 'Proxy-Authorization': authorization };
  t.is((await connectBy(opened, `${host}:1`)).status, 407);
  t.is((await connectBy(opened, `${host}:1`, { 'Proxy-Authorization': 'Basic eDp5' })).status, 407);
  t.is((await connectBy(opened, 'nowhere', allowed)).status, 400);
  const refused = await connectBy(opened, `${host}:${await freePort()}`, allowed);
  t.is(refused.status, 502);
  t.regex((await readAll(refused.socket)).toString(), /refused/);
  const [plain]: http.IncomingMessage[] = await once(
    http.get({ ...opened.address(), path: 'http://x/' }),
    'response',
  );
  t.is(plain?.statusCode, 405);
  plain?.resume();
});

test('SOCKS4 is answered in its own words, junk not at all', async t => {
  const { door: opened } = await door(t);
  const old = dial(opened);
  old.write(Buffer.from([4, 1, 0, 80, 127, 0, 0, 1, 0]));
  t.deepEqual([...(await readAll(old)).subarray(0, 2)], [0, 91]);
  const broken = await greeted(opened);
  broken.write('GET / HTTP/1.1\r\n');
  t.is((await readAll(broken)).length, 0);
});

test('who says nothing is not waited for', async t => {
  const clock = fakeClock();
  const { door: opened } = await door(t, {}, { clock });
  const silent = await greeted(opened);
  clock.advance(10_000);
  t.is((await readAll(silent)).length, 0);
});

test('close() resets what is open and frees the number', async t => {
  const { door: opened } = await door(t);
  const { port } = await device(t, socket => socket.write('x'));
  const client = await greeted(opened);
  client.write(request(1, host, port));
  await take(client, 11);
  const at = opened.address();
  const closed = new Promise(resolve => client.once('close', resolve));
  client.resume();
  await opened.close();
  await closed;
  const again = await openSocks({ source: (await keptLab(t)).keeper, listen: at, password: undefined });
  await again.close();
  t.pass();
});
