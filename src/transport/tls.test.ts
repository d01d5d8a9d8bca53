import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../base/clock.ts';
import { createKeyAndCertificate } from './certificate.ts';
import { transportComplies } from './compliance.ts';
import { connectTo, loopback, testCertificate, tlsPair } from './loopback.ts';
import { fillUntilStuck } from './pattern.ts';
import { pinOf } from './pin.ts';
import { record } from './recording-handlers.ts';

transportComplies('TLS over loopback', tlsPair);

/** A TCP relay whose two sockets the test can kill: what a NAT or a dying machine does. */
async function relayTo(t: ExecutionContext, port: number) {
  const sockets: Socket[] = [];
  const server = createServer(near => {
    const far = connectTcp(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => {});
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
    sockets.push(near, far);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return { sockets, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

async function relayedPair(t: ExecutionContext) {
  const { listener, transports } = await loopback(t);
  const relay = await relayTo(t, listener.address.port);
  const client = await connectTo(t, listener, { port: relay.port });
  const server = await transports.next();
  return { relay, atClient: record(client), atServer: record(server), client, server };
}

test('a peer whose machine closes the TCP connection with a bare FIN: closed once, at both ends', async t => {
  const { relay, atClient, atServer, client } = await relayedPair(t);
  client.write(Buffer.from('before'));
  await atServer.untilBytes(6);
  for (const socket of relay.sockets) socket.destroy();
  await Promise.all([atClient.closed, atServer.closed]);
  t.deepEqual([atClient.closures.length, atServer.closures.length], [1, 1]);
});

test('small writes of one turn are one record, in order with large ones', async t => {
  const { client, server } = await tlsPair(t);
  const [atServer, atClient] = [record(server), record(client)];
  const small = Array.from({ length: 10 }, (_, index) => Buffer.alloc(100, index));
  for (const bytes of small) client.write(bytes);
  await atServer.untilBytes(1000);
  t.is(atServer.pieces.length, 1);
  await atClient.until(() => client.backlogBytes === 0);
  const large = Buffer.alloc(10_000, 0xaa);
  for (const bytes of [...small, large, ...small]) client.write(bytes);
  t.is(client.backlogBytes, 12_000);
  await atServer.untilBytes(13_000);
  t.deepEqual(atServer.bytes, Buffer.concat([...small, ...small, large, ...small]));
});

test('what is said on an idle link goes in records of at most 1,000 bytes, in order, until it says much at once', async t => {
  const { client, server } = await tlsPair(t);
  const [atServer, atClient] = [record(server), record(client)];
  const hundreds = (count: number) => Array.from({ length: count }, (_, index) => Buffer.alloc(100, index));
  const sent: Buffer[] = [];
  for (const count of [25, 50, 25]) {
    for (const bytes of hundreds(count)) client.write(bytes);
    sent.push(...hundreds(count));
    await atServer.untilBytes(Buffer.concat(sent).length);
    await atClient.until(() => client.backlogBytes === 0);
  }
  t.deepEqual(
    atServer.pieces.map(({ length }) => length),
    [1000, 1000, 500, 5000, 2500],
  );
  t.deepEqual(atServer.bytes, Buffer.concat(sent));
});

test('a link that often says what takes several records of 1,000 bytes has whole ones', async t => {
  const { client, server } = await tlsPair(t);
  const [atServer, atClient] = [record(server), record(client)];
  let sent = 0;
  while (!atServer.pieces.some(({ length }) => length === 2500)) {
    client.write(Buffer.alloc(1250));
    client.write(Buffer.alloc(1250));
    sent += 2500;
    await atServer.untilBytes(sent);
    await atClient.until(() => client.backlogBytes === 0);
  }
  const inPieces = atServer.pieces.filter(({ length }) => length < 2500);
  t.true(inPieces.length >= 3 * 16, `${inPieces.length} pieces before`);
});

test('what is written while a piece is under way, and by end(), goes behind it', async t => {
  const { client, server } = await tlsPair(t);
  const atServer = record(server);
  const sent = [Buffer.alloc(2500, 1), Buffer.alloc(6000, 2), Buffer.alloc(2500, 3)];
  const [first, large, last] = sent;
  client.write(first ?? Buffer.alloc(0));
  await new Promise(resolve => setImmediate(resolve));
  client.write(large ?? Buffer.alloc(0));
  client.write(last ?? Buffer.alloc(0));
  client.end();
  await atServer.closed;
  t.deepEqual(atServer.bytes, Buffer.concat(sent));
});

test('a RST is the cause that onClosed gives', async t => {
  const { relay, atClient } = await relayedPair(t);
  relay.sockets[0]?.resetAndDestroy();
  const cause = await atClient.closed;
  t.is(cause && 'code' in cause ? cause.code : undefined, 'ECONNRESET');
});

test('garbage in the middle of a link closes it with a cause and kills nothing else', async t => {
  const { relay, atServer, atClient } = await relayedPair(t);
  relay.sockets[1]?.write(Buffer.alloc(100, 0x55));
  t.true((await atServer.closed) instanceof Error);
  await atClient.closed;
});

test('end gives up a peer that takes nothing for 10 s, and waits while it takes something', async t => {
  const clock = fakeClock();
  const { listener, transports } = await loopback(t);
  const client = await connectTo(t, listener, { clock });
  const atClient = record(client);
  const server = await transports.next();
  for (let count = 0; count < 2000; count++) client.write(Buffer.alloc(16_384));
  client.end();
  const atServer = record(server);
  await atServer.untilBytes(16 * 1024 * 1024);
  clock.advance(10_000);
  t.is(atClient.closures.length, 0);
  await atServer.closed;
  t.is(atServer.receivedBytes, 2000 * 16_384);
  t.is(await atClient.closed, undefined);

  const stuck = await connectTo(t, listener, { clock });
  const atStuck = record(stuck);
  stuck.end();
  clock.advance(9999);
  t.is(atStuck.closures.length, 0);
  clock.advance(1);
  await atStuck.closed;
  t.is(atStuck.closures.length, 1);
});

test('a peer that ends while it does not read closes the transport at once, not when all is sent', async t => {
  t.timeout(10_000);
  const { listener, transports } = await loopback(t, { clock: fakeClock() });
  const client = await connectTo(t, listener);
  const atClient = record(client);
  const server = await transports.next();
  await fillUntilStuck(client);
  t.true(client.backlogBytes > 0);
  server.end();
  t.is(await atClient.closed, undefined);
});

test('one write of a full frame is one TLS record', async t => {
  const { relay, client, atServer } = await relayedPair(t);
  const near = relay.sockets[0];
  let wire = 0;
  near?.on('data', piece => {
    wire += piece.length;
  });
  client.write(Buffer.alloc(16_384));
  await atServer.untilBytes(16_384);
  t.deepEqual(
    atServer.pieces.map(piece => piece.length),
    [16_384],
  );
  // Header 5, inner content type 1, tag 16 (RFC 8446 §5.2).
  t.is(wire, 16_384 + 22);
});

test('writes that the kernel takes together drain once, not once each', async t => {
  const { client, server } = await tlsPair(t);
  const [atClient, atServer] = [record(client), record(server)];
  for (let count = 0; count < 500; count++) client.write(Buffer.alloc(10));
  await atServer.untilBytes(5000);
  await atClient.until(() => client.backlogBytes === 0);
  t.true(atClient.drains >= 1 && atClient.drains < 10);
});

test('a new key serves the connections that come after it, old ones keep their pin', async t => {
  const { listener, transports } = await loopback(t);
  const before = await connectTo(t, listener);
  const renewed = await createKeyAndCertificate([]);
  listener.setCertificate(renewed);
  const after = await connectTo(t, listener, { expectedPins: [pinOf(renewed.cert)] });
  const [serverBefore, serverAfter] = [await transports.next(), await transports.next()];
  t.deepEqual(before.serverPin, pinOf(testCertificate.key));
  t.deepEqual(serverBefore.serverPin, before.serverPin);
  t.deepEqual(after.serverPin, pinOf(renewed.key));
  t.deepEqual(serverAfter.serverPin, after.serverPin);
});

test('a key that does not belong to the certificate is refused and the old pair stays', async t => {
  const { listener, transports } = await loopback(t);
  const { key } = await createKeyAndCertificate([]);
  const error = t.throws(() => listener.setCertificate({ key, cert: testCertificate.cert }), {
    code: 'bad-config',
  });
  t.regex(error?.message ?? '', /key and certificate cannot be used/);
  const client = await connectTo(t, listener, { expectedPins: [pinOf(testCertificate.cert)] });
  t.deepEqual((await transports.next()).serverPin, client.serverPin);
});

test('tune is given the connected socket at both ends, once TCP is up and once TLS is, before anything is written', async t => {
  const tuned: string[] = [];
  const note = (end: string) => (socket: Socket) => {
    tuned.push(`${end} ${socket.readyState} ${socket.bytesWritten > 0}`);
    return undefined;
  };
  const { listener, transports } = await loopback(t, { tune: note('server') });
  await connectTo(t, listener, { tune: note('client') });
  await transports.next();
  for (const end of ['client', 'server'])
    t.is(tuned.filter(line => line.startsWith(`${end} open`)).length, 2);
  t.is(tuned.length, 4);
});

test('remote names the peer by address and number', async t => {
  const { listener, transports } = await loopback(t, { host: '::' });
  const overV4 = await connectTo(t, listener);
  const seenV4 = await transports.next();
  t.is(overV4.remote, `127.0.0.1:${listener.address.port}`);
  t.regex(seenV4.remote, /^127\.0\.0\.1:\d+$/);
  const overV6 = await connectTo(t, listener, { host: '::1' });
  t.is(overV6.remote, `[::1]:${listener.address.port}`);
  t.regex((await transports.next()).remote, /^\[::1\]:\d+$/);
});
