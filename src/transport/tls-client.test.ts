import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { type Clock, fakeClock } from '../base/clock.ts';
import { deferred } from '../base/deferred.ts';
import { EntremiseError, type ErrorCode } from '../base/errors.ts';
import { connectTo, loopback, testAlpn, testCertificate } from './loopback.ts';
import { pinOf } from './pin.ts';
import { record } from './recording-handlers.ts';
import { type ConnectTlsOptions, connectTls } from './tls-client.ts';

async function portOf(t: ExecutionContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function attempt(options: Partial<ConnectTlsOptions> & { port: number }): Promise<unknown> {
  return connectTls({
    host: '127.0.0.1',
    alpn: testAlpn,
    expectedPins: 'compare-later',
    timeoutMs: 10_000,
    ...options,
  });
}

async function fails(
  t: ExecutionContext,
  options: Partial<ConnectTlsOptions> & { port: number },
  code: ErrorCode,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(attempt(options), { instanceOf: EntremiseError, message });
  t.is(error?.code, code);
}

const otherPin = Buffer.alloc(32, 9);

test('a server with one of the expected pins is accepted', async t => {
  const { listener } = await loopback(t);
  const client = await connectTo(t, listener, { expectedPins: [otherPin, pinOf(testCertificate.key)] });
  t.deepEqual(client.serverPin, pinOf(testCertificate.cert));
});

test('P8.1: what is lost soon goes again from the first byte of TLS on: a connection is tuned once TCP is up', async t => {
  const silent = createServer(socket => socket.on('error', () => {}));
  const port = await portOf(t, silent);
  const tuned = deferred<Socket>();
  const giveUp = new AbortController();
  const tune = (socket: Socket) => {
    tuned.resolve(socket);
    return undefined;
  };
  const trying = attempt({ port, tune, signal: giveUp.signal });
  t.is((await tuned.promise).remotePort, port);
  giveUp.abort();
  await t.throwsAsync(trying, { code: 'aborted' });
});

for (const [name, expectedPins] of [
  ['another pin', [otherPin]],
  ['no pin at all', []],
] as const) {
  test(`with ${name} expected nothing is written and the connection ends`, async t => {
    let received = 0;
    const gone = deferred<void>();
    const server = createTlsServer({ ...testCertificate, ALPNProtocols: [testAlpn] });
    server.on('tlsClientError', () => gone.resolve());
    server.on('secureConnection', socket => {
      socket.on('error', () => {});
      socket.on('close', () => gone.resolve());
      socket.on('data', piece => {
        received += piece.length;
      });
    });
    await fails(t, { port: await portOf(t, server), expectedPins }, 'pin-mismatch', /nothing was sent/);
    await gone.promise;
    t.is(received, 0);

    const door = await loopback(t);
    const pin = new RegExp(pinOf(testCertificate.key).toString('hex'));
    await fails(t, { port: door.listener.address.port, expectedPins }, 'pin-mismatch', pin);
    // Closed within 'secureConnect': the client has not even finished its handshake.
    t.is((await door.refusals.next()).reason, 'tls-failed');
    t.is(door.transports.all.length, 0);
  });
}

test('a name without an address says to check the name', async t => {
  await fails(
    t,
    { host: 'no-such-host.invalid', port: 443 },
    'server-unreachable',
    /no-such-host\.invalid:443: .*(check its spelling|DNS)/,
  );
});

test('a closed port says that nothing accepts connections there', async t => {
  const server = createServer();
  const port = await portOf(t, server);
  server.close();
  await fails(t, { port }, 'server-unreachable', new RegExp(`127\\.0\\.0\\.1:${port}: nothing accepts`));
});

test('a server that takes the connection and says nothing runs into the deadline', async t => {
  const clock = fakeClock();
  const server = createServer(socket => {
    t.teardown(() => socket.destroy());
    // The client's hello shows that its handshake has begun.
    socket.once('data', () => clock.advance(5000));
  });
  const port = await portOf(t, server);
  await fails(t, { port, clock, timeoutMs: 5000 }, 'server-unreachable', /TLS handshake within 5 s/);
});

test('the deadline covers the time before TCP is up', async t => {
  const clock = fakeClock();
  const { listener } = await loopback(t);
  const failure = fails(
    t,
    { port: listener.address.port, clock, timeoutMs: 5000 },
    'server-unreachable',
    /has not taken the connection within 5 s/,
  );
  clock.advance(5000);
  await failure;
});

test('a connection that is closed during the handshake counts as unreachable', async t => {
  for (const close of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.resetAndDestroy()]) {
    const port = await portOf(
      t,
      createServer(socket => {
        socket.on('error', () => {});
        socket.once('data', () => close(socket));
      }),
    );
    await fails(t, { port }, 'server-unreachable', /closed it before TLS was up/);
  }
});

test('a server that does not speak TLS is a TLS failure', async t => {
  const port = await portOf(
    t,
    createServer(socket => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    }),
  );
  await fails(t, { port }, 'tls-failed', /TLS with 127\.0\.0\.1:\d+ failed .*Entremise server/);
});

test('a server of an older TLS is a TLS failure', async t => {
  const server = createTlsServer({ ...testCertificate, maxVersion: 'TLSv1.2' });
  server.on('tlsClientError', () => {});
  await fails(t, { port: await portOf(t, server) }, 'tls-failed', /TLS with/);
});

test('a TLS server with another protocol, or none, is a TLS failure that names the protocol', async t => {
  for (const protocols of [['http/1.1'], undefined]) {
    const server = createTlsServer({ ...testCertificate, ...(protocols && { ALPNProtocols: protocols }) });
    server.on('tlsClientError', () => {});
    server.on('secureConnection', socket => socket.on('error', () => {}));
    await fails(t, { port: await portOf(t, server) }, 'tls-failed', /entremise\/1|TLS with/);
  }
});

test('a signal gives up before, during and never after', async t => {
  const { listener } = await loopback(t);
  const { port } = listener.address;
  await fails(t, { port, signal: AbortSignal.abort() }, 'aborted', /./);
  const during = new AbortController();
  const failure = fails(t, { port, signal: during.signal }, 'aborted', /./);
  during.abort();
  await failure;
  const late = new AbortController();
  const client = await connectTo(t, listener, { signal: late.signal });
  const atClient = record(client);
  late.abort();
  await new Promise(setImmediate);
  t.is(atClient.closures.length, 0);
});

test('a deadline never closes a connection that came about', async t => {
  const waits: boolean[] = [];
  const clock: Clock = {
    ...fakeClock(),
    after: () => {
      const index = waits.push(true) - 1;
      return () => {
        waits[index] = false;
      };
    },
  };
  const { listener } = await loopback(t);
  await connectTo(t, listener, { clock });
  t.true(waits.length > 1);
  // The last is the watch over this machine's address.
  t.false(waits.slice(0, -1).includes(true));
});

test('a port or local address that is none is said to be one', async t => {
  await fails(t, { port: 70_000 }, 'bad-config', /70000/);
  await fails(t, { port: 443, localAddress: 'eth0' }, 'bad-config', /eth0/);
});

test('the connection comes from the local address that was asked for', async t => {
  const { listener, transports } = await loopback(t);
  await connectTo(t, listener, { localAddress: '127.0.0.7' });
  t.regex((await transports.next()).remote, /^127\.0\.0\.7:\d+$/);
  await fails(
    t,
    { port: listener.address.port, localAddress: '192.0.2.1' },
    'server-unreachable',
    /does not have the local address/,
  );
});

test('a name goes into SNI, an address does not', async t => {
  const names: (string | false | null | undefined)[] = [];
  const server = createTlsServer({ ...testCertificate, ALPNProtocols: [testAlpn] }, socket => {
    // @types/node lacks it: the name of the client's SNI, or false.
    names.push('servername' in socket ? (socket.servername as string | false | null) : undefined);
    socket.on('error', () => {});
    socket.destroy();
  });
  const port = await portOf(t, server);
  for (const host of ['localhost', '127.0.0.1']) {
    const client = await connectTls({
      host,
      port,
      alpn: testAlpn,
      expectedPins: [pinOf(testCertificate.cert)],
      timeoutMs: 10_000,
    });
    await record(client).closed;
  }
  t.deepEqual(names, ['localhost', false]);
});

test('what tune throws ends the attempt and the connection', async t => {
  const { listener, refusals } = await loopback(t);
  const tune = () => {
    throw new Error('no such option');
  };
  await t.throwsAsync(attempt({ port: listener.address.port, tune }), { message: 'no such option' });
  t.is((await refusals.next()).reason, 'tls-failed');
});
