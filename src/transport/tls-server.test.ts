import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectRawTls, type TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import type { RefusalReason } from './admissions.ts';
import { createKeyAndCertificate } from './certificate.ts';
import { connectTo, eventually, type Loopback, loopback, testAlpn, testCertificate } from './loopback.ts';
import { patternAt } from './pattern.ts';
import { record } from './recording-handlers.ts';
import { listenTls } from './tls-server.ts';

/** A plain TCP connection to the listener; `closed` when it is closed, by a FIN or a RST. */
async function tcpTo(
  t: ExecutionContext,
  { listener }: Loopback,
): Promise<{ socket: Socket; closed: Promise<void> }> {
  const socket = connectTcp(listener.address.port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  socket.resume();
  const closed = new Promise<void>(resolve => {
    socket.on('close', () => resolve());
  });
  await Promise.race([new Promise(resolve => socket.once('connect', resolve)), closed]);
  return { socket, closed };
}

function rawTls(t: ExecutionContext, { listener }: Loopback, options: object): TLSSocket {
  const socket = connectRawTls({
    host: '127.0.0.1',
    port: listener.address.port,
    rejectUnauthorized: false,
    ...options,
  });
  t.teardown(() => socket.destroy());
  return socket;
}

function totals(door: Loopback, changed: Partial<Record<RefusalReason, number>>) {
  const none = {
    'over-limit': 0,
    'over-source-limit': 0,
    'too-slow': 0,
    'tls-failed': 0,
    'no-alpn': 0,
    internal: 0,
  };
  return [door.listener.counters.refused, { ...none, ...changed }] as const;
}

/** The listener still serves. */
async function stillServes(t: ExecutionContext, door: Loopback): Promise<void> {
  const client = await connectTo(t, door.listener);
  const atServer = record(await door.transports.next());
  client.write(Buffer.from('alive'));
  await atServer.untilBytes(5);
  t.is(atServer.bytes.toString(), 'alive');
}

/** The same ones each time: about one in 200 random beginnings is a plausible record, whose rest TLS then waits for. */
const noise = Buffer.concat(
  Array.from({ length: 128 }, (_, block) => createHash('sha256').update(`noise ${block}`).digest()),
);

for (const [name, bytes] of [
  ['HTTP in plain text', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['an SSH banner', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ['random bytes', noise],
  ['a record that claims 65,535 bytes', Buffer.from('1603 01ff ff01'.replaceAll(' ', ''), 'hex')],
] as const) {
  test(`${name} is closed, counted and harms nobody`, async t => {
    const door = await loopback(t);
    const { socket, closed } = await tcpTo(t, door);
    socket.write(bytes);
    await closed;
    const refusal = await door.refusals.next();
    t.is(refusal.reason, 'tls-failed');
    t.true(refusal.cause instanceof Error);
    t.regex(refusal.remote, /^127\.0\.0\.1:\d+$/);
    t.deepEqual(...totals(door, { 'tls-failed': 1 }));
    t.is(door.listener.counters.unauthenticated, 0);
    await stillServes(t, door);
  });
}

for (const [name, options] of [
  ['a client of TLS 1.2', { ALPNProtocols: [testAlpn], maxVersion: 'TLSv1.2' }],
  ['a client of another ALPN name', { ALPNProtocols: ['h2'] }],
  ['a client of http/1.1 where HTTP is not served', { ALPNProtocols: ['http/1.1'] }],
] as const) {
  test(`${name} is refused`, async t => {
    const door = await loopback(t);
    const socket = rawTls(t, door, options);
    const [error] = await once(socket, 'error');
    t.regex(String(error), /alert|protocol|version/i);
    t.is((await door.refusals.next()).reason, 'tls-failed');
    t.is(door.transports.all.length, 0);
    await stillServes(t, door);
  });
}

test('P8.1: a connection is tuned when it is accepted, before TLS has said a word', async t => {
  const tuned = deferred<Socket>();
  const tune = (socket: Socket) => {
    tuned.resolve(socket);
    return undefined;
  };
  const { socket } = await tcpTo(t, await loopback(t, { tune }));
  t.is((await tuned.promise).remotePort, socket.localPort);
});

test('in a crowd that says nothing the next ones get TLS with their first byte: who speaks is served as ever', async t => {
  const tuned: (number | undefined)[] = [];
  const tune = ({ remotePort }: Socket) => {
    tuned.push(remotePort);
    return undefined;
  };
  const door = await loopback(t, { tune });
  const crowd = await Promise.all(Array.from({ length: 40 }, () => tcpTo(t, door)));
  await eventually(() => door.listener.counters.accepted === 40);
  t.is(tuned.length, 32);
  const client = await connectTo(t, door.listener, {});
  const server = record(await door.transports.next());
  client.write(patternAt(0, 100_000));
  await server.untilBytes(100_000);
  t.true(server.bytes.equals(patternAt(0, 100_000)));
  const before = tuned.length;
  const silent = crowd.find(({ socket }) => !tuned.includes(socket.localPort));
  silent?.socket.write(Buffer.from('16', 'hex'));
  await eventually(() => tuned.length === before + 1);
  t.is(tuned.at(-1), silent?.socket.localPort);
});

test('a client without ALPN is closed', async t => {
  const door = await loopback(t);
  const socket = rawTls(t, door, {});
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'close');
  t.is((await door.refusals.next()).reason, 'no-alpn');
  t.is(door.transports.all.length, 0);
  t.deepEqual(...totals(door, { 'no-alpn': 1 }));
});

test('a connection that says nothing, or stops in the middle of its hello, is closed in time', async t => {
  const clock = fakeClock();
  const door = await loopback(t, { clock });
  const silent = await tcpTo(t, door);
  const halting = await tcpTo(t, door);
  halting.socket.write(Buffer.from('160301', 'hex'));
  await eventually(() => door.listener.counters.accepted === 2);
  clock.advance(9999);
  await new Promise(setImmediate);
  t.deepEqual(...totals(door, {}));
  clock.advance(1);
  await Promise.all([silent.closed, halting.closed]);
  t.is((await door.refusals.next()).reason, 'too-slow');
  t.is((await door.refusals.next()).reason, 'too-slow');
  t.deepEqual(...totals(door, { 'too-slow': 2 }));
  t.is(door.listener.counters.unauthenticated, 0);
});

test('the handshake deadline does not touch a connection that made it', async t => {
  const clock = fakeClock();
  const door = await loopback(t, { clock });
  const atClient = record(await connectTo(t, door.listener));
  await door.transports.next();
  clock.advance(60_000);
  await new Promise(setImmediate);
  t.is(atClient.closures.length, 0);
});

test('over the limit of a source a connection is reset before TLS, others go on', async t => {
  const limits = { maxUnauthenticated: 10, maxUnauthenticatedPerSource: 2 };
  const door = await loopback(t, { limits });
  const first = await connectTo(t, door.listener);
  await connectTo(t, door.listener);
  const error = await t.throwsAsync(connectTo(t, door.listener), { code: 'server-unreachable' });
  t.regex(error?.message ?? '', /busy|reset/);
  t.is((await door.refusals.next()).reason, 'over-source-limit');
  await connectTo(t, door.listener, { localAddress: '127.0.0.2' });
  for (let count = 0; count < 3; count++) await door.transports.next();
  t.is(door.listener.counters.unauthenticated, 3);
  t.is(door.listener.counters.handedOver, 3);

  door.authenticated[0]?.();
  door.authenticated[0]?.();
  t.is(door.listener.counters.unauthenticated, 2);
  await connectTo(t, door.listener);
  t.is(record(first).closures.length, 0);
  t.deepEqual(...totals(door, { 'over-source-limit': 1 }));
});

test('a connection that closes makes room, authenticated or not', async t => {
  const door = await loopback(t, { limits: { maxUnauthenticated: 1, maxUnauthenticatedPerSource: 1 } });
  for (let count = 0; count < 3; count++) {
    const client = await connectTo(t, door.listener);
    const atServer = record(await door.transports.next());
    if (count === 1) door.authenticated[1]?.();
    client.destroy();
    await atServer.closed;
    await eventually(() => door.listener.counters.unauthenticated === 0);
  }
  t.is(door.listener.counters.handedOver, 3);
});

test('over the limit in all a connection is reset whatever its source', async t => {
  const door = await loopback(t, { limits: { maxUnauthenticated: 1, maxUnauthenticatedPerSource: 1 } });
  await tcpTo(t, door);
  const { closed } = await tcpTo(t, door);
  await closed;
  t.is((await door.refusals.next()).reason, 'over-limit');
});

test('over the limit in all whoever has been silent for a second makes room, the longest first', async t => {
  const clock = fakeClock();
  const limits = { maxUnauthenticated: 2, maxUnauthenticatedPerSource: 2 };
  const door = await loopback(t, { limits, clock });
  const speaking = await tcpTo(t, door);
  speaking.socket.write(Buffer.from('160301', 'hex'));
  const silent = await tcpTo(t, door);
  await eventually(() => door.listener.counters.unauthenticated === 2);
  clock.advance(999);
  const tooSoon = await tcpTo(t, door);
  await tooSoon.closed;
  clock.advance(2);
  await stillServes(t, door);
  await silent.closed;
  t.false(speaking.socket.destroyed);
  t.deepEqual(...totals(door, { 'over-limit': 2 }));
});

test('http/1.1 reaches onHttp on the same port, links stay links', async t => {
  const door = await loopback(t, {
    onHttp: (socket, authenticated) => {
      authenticated();
      socket.end('HTTP/1.1 204 No Content\r\n\r\n');
    },
  });
  const socket = rawTls(t, door, { ALPNProtocols: ['http/1.1'] });
  const [answer] = await once(socket, 'data');
  t.regex(String(answer), /^HTTP\/1\.1 204/);
  t.is(door.transports.all.length, 0);
  await stillServes(t, door);
});

for (const [name, broken] of [
  ['onTransport', { onTransport: fault }],
  ['tune', { tune: fault }],
  ['onHttp', { onHttp: fault }],
] as const) {
  test(`what ${name} throws closes that connection and is told as internal`, async t => {
    const door = await loopback(t, broken);
    const socket = rawTls(t, door, { ALPNProtocols: [name === 'onHttp' ? 'http/1.1' : testAlpn] });
    socket.on('error', () => {});
    socket.resume();
    await new Promise(resolve => socket.once('close', resolve));
    const { reason, cause } = await door.refusals.next();
    t.deepEqual([reason, cause?.message], ['internal', 'a bug']);
  });
}

function fault(): never {
  throw new Error('a bug');
}

test('close stops listening and closes what is not handed over, and nothing else', async t => {
  const door = await loopback(t);
  const client = await connectTo(t, door.listener);
  const atServer = record(await door.transports.next());
  const { closed } = await tcpTo(t, door);
  await eventually(() => door.listener.counters.accepted === 2);
  const { port } = door.listener.address;
  door.listener.close();
  await closed;
  client.write(Buffer.from('still'));
  await atServer.untilBytes(5);
  const again = await loopback(t, { port });
  t.is(again.listener.address.port, port);
});

test('a port that is taken, an address that is not ours and a key of another certificate are said', async t => {
  const { listener } = await loopback(t);
  const { port } = listener.address;
  const options = { host: '127.0.0.1', port, ...testCertificate, alpn: testAlpn, onTransport: fault };
  const taken = await t.throwsAsync(listenTls(options), { code: 'environment-unfit' });
  t.regex(taken?.message ?? '', new RegExp(`Cannot listen on 127\\.0\\.0\\.1:${port}: another program`));
  await t.throwsAsync(listenTls({ ...options, host: '192.0.2.1' }), {
    message: /does not have that address/,
  });
  const { key } = await createKeyAndCertificate([]);
  await t.throwsAsync(listenTls({ ...options, key }), { code: 'bad-config' });
  await t.throwsAsync(listenTls({ ...options, cert: 'no certificate' }), { code: 'bad-config' });
});
