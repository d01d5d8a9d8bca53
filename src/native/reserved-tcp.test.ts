import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { asEntremiseError, EntremiseError, type ErrorCode } from '../base/errors.ts';
import { requireAddon } from './addon.ts';
import { fdOf } from './fd-of.ts';
import { ReservedTcp } from './reserved-tcp.ts';
import { type SlabReader, socketOnFd } from './slab-reader.ts';
import { accept, listener, readAll, until, untilFree } from './test-sockets.ts';
import { WatchedSocket } from './watched-socket.ts';

const native = requireAddon();
const addresses = ['127.0.0.1', '127.0.0.9', '::1'];

async function rejectsWith(t: ExecutionContext, code: ErrorCode, doing: Promise<unknown>) {
  t.is((await t.throwsAsync(doing, { instanceOf: EntremiseError })).code, code);
}

/** The error code that Node's own listen on that number gives, or 'listening'. */
async function listenByNode(host: string, port: number): Promise<string> {
  const server = net.createServer();
  return new Promise(resolve => {
    server.once('error', error => resolve('code' in error ? String(error.code) : error.message));
    server.listen({ host, port, ipv6Only: true }, () => server.close(() => resolve('listening')));
  });
}

/** Connects from that number as Node can, and says what comes of it. */
async function connectByNode(localAddress: string, localPort: number, port: number): Promise<string> {
  const socket = net.connect({ host: localAddress, port, localAddress, localPort });
  return new Promise(resolve => {
    socket.once('error', error => resolve('code' in error ? String(error.code) : error.message));
    socket.once('connect', () => resolve('connected'));
  }).then(outcome => {
    socket.destroy();
    return String(outcome);
  });
}

function ended(near: WatchedSocket, device: Socket): Promise<unknown> {
  return Promise.all([once(near.socket, 'close'), once(device, 'close')]);
}

const silent = { onFin() {}, onReset() {}, onClose() {} };

for (const address of addresses) {
  test(`a number of ${address} is nobody else's from reservation to close`, async t => {
    const reserved = ReservedTcp.reserve(native, address, 0);
    const { server, port } = await listener(address);
    const wildcard = address.includes(':') ? '::' : '0.0.0.0';
    t.true(reserved.port > 0);
    t.is(reserved.address, address);
    t.is(native.reserveTcp(address, reserved.port), 'EADDRINUSE');
    t.is(native.reserveTcp(wildcard, reserved.port), 'EADDRINUSE');
    t.is(await listenByNode(address, reserved.port), 'EADDRINUSE');
    t.is(await listenByNode(wildcard, reserved.port), 'EADDRINUSE');
    t.is(await connectByNode(address, reserved.port, port), 'EADDRINUSE');
    reserved.close();
    await untilFree(async () => (await listenByNode(address, reserved.port)) === 'listening');
    server.close();
  });
}

test('an IPv6 wildcard leaves the IPv4 number alone', t => {
  // Another test may have the IPv4 number by chance, but not of every attempt.
  const outcomes = Array.from({ length: 5 }, () => {
    const six = ReservedTcp.reserve(native, '::', 0);
    const four = native.reserveTcp('0.0.0.0', six.port);
    six.close();
    if (typeof four === 'string') return four;
    native.close(four.fd);
    return 'both';
  });
  t.true(outcomes.includes('both'), outcomes.join());
});

test('before listen a connection to the number is refused', async t => {
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const socket = net.connect(reserved.port, '127.0.0.1');
  const [error] = await once(socket, 'error');
  t.is(error.code, 'ECONNREFUSED');
  reserved.close();
});

for (const address of addresses) {
  test(`a connection from ${address} has the reserved address and number`, async t => {
    const { server, port } = await listener(address);
    const reserved = ReservedTcp.reserve(native, address, 0);
    const [near, device] = await Promise.all([reserved.connect({ host: address, port }), accept(server)]);
    t.is(device.remoteAddress, address);
    t.is(device.remotePort, reserved.port);
    t.is(near.localPort, reserved.port);
    t.is(reserved.state, 'handed-over');
    near.destroy();
    device.destroy();
    server.close();
  });
}

test('a wildcard number connects from the address that the route has', async t => {
  const { server, port } = await listener();
  const reserved = ReservedTcp.reserve(native, '0.0.0.0', 0);
  const [near, device] = await Promise.all([reserved.connect({ host: '127.0.0.1', port }), accept(server)]);
  t.is(device.remotePort, reserved.port);
  t.is(near.localAddress, '127.0.0.1');
  near.destroy();
  device.destroy();
  server.close();
});

test('nothing is read before resume, however long after connecting (manualStart)', async t => {
  const { server, port } = await listener();
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const [near, device] = await Promise.all([reserved.connect({ host: '127.0.0.1', port }), accept(server)]);
  device.write('early');
  await until('it is in the kernel', () => native.unreadBytes(fdOf(near) ?? -1) === 5);
  await new Promise(resolve => setImmediate(resolve));
  t.is(native.unreadBytes(fdOf(near) ?? -1), 5);
  device.end();
  t.deepEqual(await readAll(near), { text: 'early', end: 'fin' });
  near.destroy();
  server.close();
});

test('a socket on a reserved fd may wait before it connects (manualStart)', async t => {
  const { server, port } = await listener();
  const bound = native.reserveTcp('127.0.0.1', 0);
  if (typeof bound === 'string') return t.fail(bound);
  const socket = socketOnFd(bound.fd, undefined);
  native.release(bound.fd);
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve));
  t.false(socket.destroyed);
  const [device] = await Promise.all([
    accept(server),
    once(socket.connect({ port, host: '127.0.0.1' }), 'connect'),
  ]);
  t.is(device.remotePort, bound.port);
  socket.destroy();
  device.destroy();
  server.close();
});

test('a reader with slabs gets the bytes in its own memory, and the socket the end', async t => {
  const { server, port } = await listener();
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const slab = Buffer.alloc(16);
  let text = '';
  const slabs: SlabReader = {
    nextBuffer: () => slab.subarray(9),
    received: (lengthBytes, buffer) => {
      t.is(buffer.buffer, slab.buffer);
      text += slab.toString('latin1', 9, 9 + lengthBytes);
    },
  };
  const [near, device] = await Promise.all([
    reserved.connect({ host: '127.0.0.1', port, slabs }),
    accept(server),
  ]);
  device.end('twenty-one bytes long');
  near.resume();
  await once(near, 'end');
  t.is(text, 'twenty-one bytes long');
  near.destroy();
  server.close();
});

for (const address of ['127.0.0.1', '0.0.0.0', '::1']) {
  test(`a refused connect from ${address} keeps the number, and the next one comes from it`, async t => {
    const host = address === '0.0.0.0' ? '127.0.0.1' : address;
    const { server, port } = await listener(host);
    const { server: gone, port: deadPort } = await listener(host);
    gone.close();
    const reserved = ReservedTcp.reserve(native, address, 0);
    for (let i = 0; i < 3; i++) {
      await rejectsWith(t, 'refused', reserved.connect({ host, port: deadPort }));
      t.is(reserved.state, 'held');
      t.is(native.reserveTcp(host, reserved.port), 'EADDRINUSE');
      t.is(await listenByNode(host, reserved.port), 'EADDRINUSE');
    }
    const [near, device] = await Promise.all([reserved.connect({ host, port }), accept(server)]);
    t.is(device.remotePort, reserved.port);
    // An fd left behind by a failed connect would keep the number, and the RST back.
    near.resetAndDestroy();
    t.is((await readAll(device)).end, 'ECONNRESET');
    await untilFree(async () => (await listenByNode(host, reserved.port)) === 'listening');
    server.close();
  });
}

/** A listener from which nobody accepts: beyond the backlog SYNs get no answer. */
async function deafListener(backlog: number): Promise<{ port: number; close(): void }> {
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const server = net.createServer();
  await reserved.listen(server, backlog);
  const fd = native.duplicate(fdOfServer(server));
  if (typeof fd === 'string') throw new Error(fd);
  // The second fd keeps the kernel's listener.
  server.close();
  return { port: reserved.port, close: () => native.close(fd) };
}

/** A number that does not answer. */
async function unanswering(): Promise<{ port: number; close(): void }> {
  const deaf = await deafListener(1);
  const fillers = [0, 1].map(() => net.connect(deaf.port, '127.0.0.1').on('error', () => {}));
  await Promise.all(fillers.map(filler => once(filler, 'connect')));
  return {
    port: deaf.port,
    close() {
      for (const filler of fillers) filler.destroy();
      deaf.close();
    },
  };
}

function fdOfServer(server: net.Server): number {
  const handle: unknown = '_handle' in server ? server._handle : undefined;
  if (typeof handle === 'object' && handle !== null && 'fd' in handle && typeof handle.fd === 'number')
    return handle.fd;
  throw new Error('the server has no fd');
}

test('a connect that is given up while unanswered keeps the number', async t => {
  const deaf = await unanswering();
  const { server, port } = await listener();
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const giveUp = new AbortController();
  const attempt = reserved.connect({ host: '127.0.0.1', port: deaf.port, signal: giveUp.signal });
  await new Promise(resolve => setImmediate(resolve));
  t.is(reserved.state, 'handing-over');
  giveUp.abort();
  await rejectsWith(t, 'aborted', attempt);
  t.is(reserved.state, 'held');
  const [near, device] = await Promise.all([reserved.connect({ host: '127.0.0.1', port }), accept(server)]);
  t.is(device.remotePort, reserved.port);
  near.destroy();
  device.destroy();
  server.close();
  deaf.close();
});

test('closing while a connect is unanswered ends it and frees the number', async t => {
  const deaf = await unanswering();
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const attempt = reserved.connect({ host: '127.0.0.1', port: deaf.port });
  await new Promise(resolve => setImmediate(resolve));
  reserved.close();
  await rejectsWith(t, 'aborted', attempt);
  t.is(reserved.state, 'closed');
  await untilFree(async () => (await listenByNode('127.0.0.1', reserved.port)) === 'listening');
  deaf.close();
});

test('closing just after the kernel has connected frees the number at once', async t => {
  const { server, port } = await listener();
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const attempt = reserved.connect({ host: '127.0.0.1', port });
  // Loopback connects within the system call, of which Node learns on its next turn only.
  await new Promise(resolve => process.nextTick(resolve));
  reserved.close();
  await rejectsWith(t, 'aborted', attempt);
  await untilFree(async () => (await listenByNode('127.0.0.1', reserved.port)) === 'listening');
  server.close();
});

test('closing while listen is under way frees the number', async t => {
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const attempt = reserved.listen(net.createServer(), 5);
  reserved.close();
  await rejectsWith(t, 'aborted', attempt);
  await untilFree(async () => (await listenByNode('127.0.0.1', reserved.port)) === 'listening');
});

test('a number is used once: everything after hand-over or close is wrong-state', async t => {
  const { server, port } = await listener();
  const target = { host: '127.0.0.1', port };
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const connecting = reserved.connect(target);
  await rejectsWith(t, 'wrong-state', reserved.connect(target));
  await rejectsWith(t, 'wrong-state', reserved.listen(net.createServer(), 1));
  const near = await connecting;
  await rejectsWith(t, 'wrong-state', reserved.connect(target));
  reserved.close();
  t.is(reserved.state, 'handed-over');
  t.false(near.destroyed);
  near.destroy();
  const other = ReservedTcp.reserve(native, '127.0.0.1', 0);
  await rejectsWith(t, 'wrong-state', other.listen(server, 1));
  t.is(other.state, 'held');
  other.close();
  other.close();
  await rejectsWith(t, 'wrong-state', other.connect(target));
  server.close();
});

test('what cannot be connected is said in words of the catalogue, and the number kept', async t => {
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  await rejectsWith(t, 'bad-request', reserved.connect({ host: 'localhost', port: 1 }));
  await rejectsWith(t, 'unreachable', reserved.connect({ host: '192.0.2.1', port: 1 }));
  await rejectsWith(t, 'bad-request', reserved.connect({ host: '::1', port: 1 }));
  await rejectsWith(
    t,
    'aborted',
    reserved.connect({ host: '127.0.0.1', port: 1, signal: AbortSignal.abort() }),
  );
  t.is(reserved.state, 'held');
  reserved.close();
});

test('what cannot be reserved is said in words of the catalogue', t => {
  const held = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const codeOf = (address: string, port: number) =>
    t.throws(() => ReservedTcp.reserve(native, address, port), { instanceOf: EntremiseError }).code;
  t.is(codeOf('127.0.0.1', held.port), 'port-in-use');
  t.is(codeOf('192.0.2.1', 0), 'address-not-available');
  t.is(codeOf('fe80::1%nowhere', 0), 'address-not-available');
  t.is(codeOf('localhost', 0), 'bad-request');
  held.close();
});

/** Holds a number that was closed, long before TIME_WAIT ends. */
async function reserveAgain(address: string, port: number): Promise<ReservedTcp> {
  const held: ReservedTcp[] = [];
  const isHeld = () => {
    try {
      return held.push(ReservedTcp.reserve(native, address, port)) > 0;
    } catch (thrown) {
      if (asEntremiseError(thrown).code === 'port-in-use') return false;
      throw thrown;
    }
  };
  await untilFree(isHeld, 20_000);
  const [first] = held;
  if (first === undefined) throw new Error('nothing is held');
  return first;
}

for (const [who, address] of [
  ['connected', '127.0.0.1'],
  ['accepted', '127.0.0.1'],
  ['connected', '::1'],
  ['accepted', '::1'],
] as const) {
  test(`a number of ${address} is had again at once after a ${who} connection was closed actively`, async t => {
    const reserved = ReservedTcp.reserve(native, address, 0);
    for (let round = 0; round < 3; round++) {
      const again = round === 0 ? reserved : await reserveAgain(address, reserved.port);
      const { near, device } = who === 'connected' ? await connectOnce(again) : await listenOnce(again);
      const watched = new WatchedSocket(near, silent, { native });
      watched.resume();
      watched.end();
      await once(device.resume(), 'end');
      device.end();
      await ended(watched, device);
      t.true(inTimeWait(reserved.port));
      const held = await reserveAgain(address, reserved.port);
      t.is(await listenByNode(address, reserved.port), 'EADDRINUSE', 'and is exclusive beside TIME_WAIT');
      t.is(native.reserveTcp(address, reserved.port), 'EADDRINUSE');
      held.close();
    }
  });
}

async function connectOnce(reserved: ReservedTcp) {
  const { server, port } = await listener(reserved.address);
  const [near, device] = await Promise.all([
    reserved.connect({ host: reserved.address, port }),
    accept(server),
  ]);
  server.close();
  return { near, device };
}

async function listenOnce(reserved: ReservedTcp) {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await reserved.listen(server, 16);
  const device = net.connect({ host: reserved.address, port: reserved.port, allowHalfOpen: true });
  const near = await accept(server);
  server.close();
  return { near, device };
}

/** Whether a connection with that local number is in TIME_WAIT. */
function inTimeWait(port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['tcp', 'tcp6']
    .flatMap(table => readFileSync(`/proc/net/${table}`, 'latin1').split('\n'))
    .map(line => line.trim().split(/\s+/))
    .some(([, ours, , state]) => ours?.endsWith(local) && state === '06');
}

test('the backlog is the one that was asked for', async t => {
  const deaf = await deafListener(3);
  const clients = Array.from({ length: 10 }, () => net.connect(deaf.port, '127.0.0.1').on('error', () => {}));
  const connected = () => clients.filter(client => !client.connecting).length;
  // The kernel lets one more in than it was told.
  await until('the queue is full', () => connected() >= 4);
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve));
  t.is(connected(), 4);
  for (const client of clients) client.destroy();
  deaf.close();
});

test('a number taken back from a listener is held: nobody connects, nobody else has it, and it listens again', async t => {
  const reserved = ReservedTcp.reserve(native, '127.0.0.1', 0);
  const { port } = reserved;
  t.teardown(() => reserved.close());
  for (let time = 0; time < 3; time++) {
    const server = net.createServer(socket => socket.end('here'));
    await reserved.listen(server, 4);
    const visitor = net.connect(port, '127.0.0.1');
    t.is((await readAll(visitor)).text, 'here');
    reserved.takeBack(server);
    t.is(reserved.state, 'held');
    const refused = net.connect(port, '127.0.0.1');
    const [error] = await once(refused, 'error');
    t.is(error.code, 'ECONNREFUSED');
    t.is(native.reserveTcp('127.0.0.1', port), 'EADDRINUSE');
    t.is(await listenByNode('127.0.0.1', port), 'EADDRINUSE');
    t.throws(() => reserved.takeBack(server), { code: 'wrong-state' });
  }
});
