import { once } from 'node:events';
import { connect, createServer, Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { fakeClock, systemClock } from '../base/clock.ts';
import { type DialOptions, dial } from './dial.ts';

const signal = new AbortController().signal;

async function portOf(t: ExecutionContext, host: string, port = 0): Promise<number> {
  const server = createServer(socket => socket.destroy()).listen(port, host);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function freedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function reached(t: ExecutionContext, options: Partial<DialOptions>): Promise<string | undefined> {
  const socket = await dial({ host: 'server.test', port: 0, clock: systemClock, ...options }, signal);
  t.teardown(() => socket.destroy());
  return socket.remoteAddress;
}

const resolvesTo =
  (...addresses: string[]) =>
  async () =>
    addresses;

test('RFC 8305: where one family gets nowhere, the other is reached', async t => {
  const port = await portOf(t, '127.0.0.1');
  t.is(await reached(t, { port, resolve: resolvesTo('::1', '127.0.0.1') }), '127.0.0.1');
  const port6 = await portOf(t, '::1');
  t.is(await reached(t, { port: port6, resolve: resolvesTo('127.0.0.1', '::1') }), '::1');
});

test('RFC 8305: the families take turns, so that many dead addresses of one do not keep the other waiting', async t => {
  const port = await portOf(t, '127.0.0.1');
  const dead = ['::1', '::1', '::1'];
  t.is(await reached(t, { port, resolve: resolvesTo(...dead, '127.0.0.1') }), '127.0.0.1');
});

test('a name that is not found now is reached where it was', async t => {
  const port = await portOf(t, '127.0.0.1');
  const resolve = () => Promise.reject(new Error('EAI_AGAIN'));
  t.is(await reached(t, { port, resolve, knownAddresses: ['127.0.0.1'] }), '127.0.0.1');
  await t.throwsAsync(reached(t, { port, resolve }), { message: 'EAI_AGAIN' });
});

test('a name server that says nothing for 2 s is not waited for where the name was known', async t => {
  const port = await portOf(t, '127.0.0.1');
  const clock = fakeClock();
  const resolve = () => new Promise<string[]>(() => {});
  const found = reached(t, { port, resolve, knownAddresses: ['127.0.0.1'], clock });
  clock.advance(2_000);
  t.is(await found, '127.0.0.1');
});

test('a name that is found now is not reached where it was', async t => {
  const port = await portOf(t, '127.0.0.2');
  const options = { port, resolve: resolvesTo('127.0.0.2'), knownAddresses: ['127.0.0.1'] };
  t.is(await reached(t, options), '127.0.0.2');
});

test('of several failures the one that tells something is told', async t => {
  const port = await portOf(t, '127.0.0.2');
  const resolve = resolvesTo('2001:db8::1', '127.0.0.1');
  await t.throwsAsync(reached(t, { port, resolve, localAddress: '127.0.0.1' }), { code: 'ECONNREFUSED' });
});

test('a connection that nobody answers is joined by another every 2 s, and the first that is up is the one', async t => {
  const port = await portOf(t, '127.0.0.1');
  const clock = fakeClock();
  const begun: Socket[] = [];
  const begin: DialOptions['begin'] = options => {
    const socket = begun.length < 2 ? new Socket() : connect(options);
    begun.push(socket);
    return socket;
  };
  const found = reached(t, { host: '127.0.0.1', port, clock, begin });
  await Promise.resolve();
  clock.advance(1_999);
  t.is(begun.length, 1);
  clock.advance(2_001);
  t.is(await found, '127.0.0.1');
  clock.advance(60_000);
  t.deepEqual(
    begun.map(({ destroyed }) => destroyed),
    [true, true, false],
  );
});

test('an answer that refuses is taken for what it is: no other connection is begun', async t => {
  const clock = fakeClock();
  let begun = 0;
  const begin: DialOptions['begin'] = options => {
    begun++;
    return connect(options);
  };
  const port = await freedPort();
  await t.throwsAsync(reached(t, { host: '127.0.0.1', port, clock, begin }), { code: 'ECONNREFUSED' });
  clock.advance(60_000);
  t.is(begun, 1);
});

test('who gives up leaves no connection behind', async t => {
  const clock = fakeClock();
  const begun: Socket[] = [];
  const begin = () => {
    const socket = new Socket();
    begun.push(socket);
    return socket;
  };
  const giveUp = new AbortController();
  const found = dial({ host: '127.0.0.1', port: 1, clock, begin }, giveUp.signal);
  await Promise.resolve();
  clock.advance(2_000);
  giveUp.abort();
  await t.throwsAsync(found, { message: 'given up' });
  clock.advance(60_000);
  t.deepEqual(
    begun.map(({ destroyed }) => destroyed),
    [true, true],
  );
});
