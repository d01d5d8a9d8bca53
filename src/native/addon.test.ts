import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Worker } from 'node:worker_threads';
import test from 'ava';
import { EntremiseError } from '../base/errors.ts';
import { loadAddon, requireAddon } from './addon.ts';
import { fdOf } from './fd-of.ts';
import type { NativeRelays } from './relay-addon.ts';
import { keepAlive } from './socket-options.ts';
import { fdTargets, inWorker, listener, mayCapture, pair, socketOf, until } from './test-sockets.ts';

const native = requireAddon();
const nothing = () => {};

test.serial('a missing addon is said with the place where it should be', t => {
  const before = process.env.ENTREMISE_ADDON;
  process.env.ENTREMISE_ADDON = '/nowhere/entremise.node';
  try {
    const error = t.throws(requireAddon, { instanceOf: EntremiseError });
    t.is(error.code, 'addon-missing');
    t.regex(error.message, /\/nowhere\/entremise\.node.*npm run build/);
    t.is(loadAddon(), undefined);
    process.env.ENTREMISE_ADDON = process.execPath;
    t.is(t.throws(requireAddon, { instanceOf: EntremiseError }).code, 'addon-missing');
  } finally {
    if (before === undefined) delete process.env.ENTREMISE_ADDON;
    else process.env.ENTREMISE_ADDON = before;
  }
});

/** Good arguments of every function; the tests below spoil them one by one. */
const calls: Record<Exclude<keyof typeof native, keyof NativeRelays>, readonly unknown[]> = {
  reserveTcp: ['127.0.0.1', 0],
  reserveUdp: ['127.0.0.1', 0],
  reserveScopedUdp: ['127.0.0.1', 0, 'lo', false],
  duplicate: [0],
  release: [0],
  close: [0],
  disconnect: [0],
  setReuseAddress: [0, true],
  setLingerZero: [0],
  clearLinger: [0],
  setNotSentLowat: [0, 1],
  setUserTimeout: [0, 1],
  setRetransmitMax: [0, 1000],
  useBbr: [0],
  restartBbr: [0],
  setPacingRate: [0, 1],
  setKeepAlive: [0, 1, 1, 1],
  socketError: [0],
  unreadBytes: [0],
  unsentBytes: [0],
  readNow: [0, new Uint8Array(1)],
  tcpInfo: [0],
  watchDisconnect: [0, nothing],
  closeWatch: [0],
  neighbours: [],
  watchNetwork: [nothing],
  trimHeap: [],
  mapLargePieces: [],
  unmapProgram: [],
  startCapture: [nothing],
  captureInterface: [0, 'lo'],
  leaveInterface: [0, 'lo'],
  captureTargets: [0, new Uint8Array(18)],
  captureCounters: [0],
  stopCapture: [0],
  watchPackets: ['lo', nothing],
  openRawIp: [true],
  sendMarked: [0, 1, new Uint8Array(20)],
  setTransparent: [0],
};

function call(name: string, given: readonly unknown[]): unknown {
  return Reflect.apply(Reflect.get(native, name), native, given);
}

test('the table of calls above is all that the addon exports, but for its relays', t => {
  t.deepEqual(
    Object.keys(calls).sort(),
    Object.keys(native)
      .filter(key => key !== 'interfaceVersion' && !/relay/i.test(key))
      .sort(),
  );
});

for (const [name, good] of Object.entries(calls)) {
  if (good.length === 0) continue;
  test(`${name} throws a TypeError for arguments of a wrong type`, t => {
    for (const index of good.keys())
      for (const bad of [
        undefined,
        null,
        {},
        [],
        Symbol('x'),
        1n,
        Number.NaN,
        -1,
        1.5,
        2 ** 32,
        -(2 ** 40),
      ]) {
        const message = `argument ${index} = ${String(bad)}`;
        t.throws(() => call(name, good.with(index, bad)), { instanceOf: TypeError }, message);
      }
    t.throws(() => call(name, []), { instanceOf: TypeError });
  });
}

test('a closed fd is EBADF to every function that takes one', t => {
  const closed = 2 ** 31 - 1;
  for (const [name, good] of Object.entries(calls))
    if (typeof good[0] === 'number') t.is(call(name, good.with(0, closed)), 'EBADF', name);
});

test('an fd that is no socket is refused', t => {
  const file = openSync('/dev/null', 'r');
  const closesNothing = [
    'duplicate',
    'release',
    'close',
    'closeWatch',
    'watchDisconnect',
    'unreadBytes',
    'unsentBytes',
  ];
  for (const [name, good] of Object.entries(calls))
    if (typeof good[0] === 'number' && !closesNothing.includes(name)) {
      const answer = call(name, good.with(0, file));
      t.true(answer === 'ENOTSOCK' || answer === 'EBADF', `${name}: ${String(answer)}`);
    }
  closeSync(file);
});

test('an address that is no plain IP literal is refused, an address of another machine too', t => {
  for (const text of [
    '',
    '127.1',
    '0x7f.0.0.1',
    'localhost',
    '127.0.0.1\0',
    '::1\0x',
    '1.2.3.4.5',
    'x'.repeat(70_000),
  ])
    t.is(native.reserveTcp(text, 0), 'EINVAL', text.slice(0, 20));
  t.is(native.reserveTcp('fe80::1%no-such-interface', 0), 'ENODEV');
  t.is(native.reserveUdp('192.0.2.1', 0), 'EADDRNOTAVAIL');
});

test('the addon closes only what it owns', async t => {
  const { near, device } = await pair('connected');
  const fd = fdOf(near) ?? -1;
  t.is(native.close(fd), 'EBADF');
  t.is(native.release(fd), 'EBADF');
  t.is(native.closeWatch(fd), 'EBADF');
  const copy = native.duplicate(fd);
  if (typeof copy === 'string') return t.fail(copy);
  t.is(native.close(copy), undefined);
  t.is(native.close(copy), 'EBADF');
  near.destroy();
  device.destroy();
});

test('TCP_INFO counts what was sent, acknowledged and not read', async t => {
  const { near, device } = await pair('connected');
  const nearFd = fdOf(near) ?? -1;
  const deviceFd = fdOf(device) ?? -1;
  near.write(Buffer.alloc(1000));
  await until('bytes arrive', () => native.unreadBytes(deviceFd) === 1000);
  const sent = native.tcpInfo(nearFd);
  const received = native.tcpInfo(deviceFd);
  if (typeof sent === 'string' || typeof received === 'string') return t.fail();
  t.is(sent.state, 1);
  t.is(sent.bytesAcked, 1001);
  t.is(received.bytesReceived, 1000);
  t.is(sent.unackedSegments + sent.notSentBytes + sent.retransmits, 0);
  t.true(sent.sinceAckMs < 60_000);
  t.true(sent.rttUs > 0 && sent.minRttUs > 0 && sent.rttVarUs >= 0);
  t.true(sent.pacingRate > 0 && sent.deliveryRate > 0);
  t.is(sent.totalRetransmits, 0);
  near.destroy();
  device.destroy();
});

test('TCP_NOTSENT_LOWAT keeps the kernel from taking more than it can send soon', async t => {
  const { near, device } = await pair('connected');
  t.is(native.setNotSentLowat(fdOf(near) ?? -1, 16_384), undefined);
  near.write(Buffer.alloc(64_000_000));
  await until('the send queue stands', () => {
    const info = native.tcpInfo(fdOf(near) ?? -1);
    return typeof info !== 'string' && info.notSentBytes > 0;
  });
  const info = native.tcpInfo(fdOf(near) ?? -1);
  t.true(typeof info !== 'string' && info.notSentBytes < 256_000, JSON.stringify(info));
  t.is(native.unsentBytes(fdOf(near) ?? -1), typeof info === 'string' ? info : info.notSentBytes);
  near.destroy();
  device.destroy();
});

test('keepalive, user time-out and the longest wait for a retransmission are accepted by a connection; values out of range are not', async t => {
  const { near, device } = await pair('accepted');
  t.is(keepAlive(native, near), undefined);
  t.is(native.setUserTimeout(fdOf(near) ?? -1, 30_000), undefined);
  t.is(native.setKeepAlive(fdOf(near) ?? -1, 0, 10, 3), 'EINVAL');
  // Where the kernel has it: as a module, perhaps, that nobody has loaded.
  t.true([undefined, 'ENOENT'].includes(native.useBbr(fdOf(near) ?? -1)));
  t.true([undefined, 'ENOENT'].includes(native.restartBbr(fdOf(near) ?? -1)));
  // Before Linux 6.15 there is no such option.
  t.true([undefined, 'ENOPROTOOPT'].includes(native.setRetransmitMax(fdOf(near) ?? -1, 1_000)));
  near.destroy();
  device.destroy();
  t.is(keepAlive(native, near), 'EBADF');
});

test('readNow reads what is there, does not wait, and refuses a detached buffer', async t => {
  const { near, device } = await pair('accepted');
  const fd = fdOf(near) ?? -1;
  const buffer = new Uint8Array(8);
  t.is(native.readNow(fd, buffer), 0);
  device.write('hello');
  await until('bytes arrive', () => native.unreadBytes(fd) === 5);
  t.is(native.readNow(fd, buffer.subarray(2)), 5);
  t.is(Buffer.from(buffer).toString('latin1'), '\0\0hello\0');
  structuredClone(buffer, { transfer: [buffer.buffer] });
  t.is(native.readNow(fd, buffer), 'EINVAL');
  near.destroy();
  device.destroy();
});

test('a watch does not keep a connection open after closeWatch, and tells nothing any more', async t => {
  const { near, device } = await pair('accepted');
  const fd = fdOf(near) ?? -1;
  const socket = socketOf(fd);
  const watch = native.watchDisconnect(fd, () => t.fail('told after closeWatch'));
  if (typeof watch === 'string') return t.fail(watch);
  t.is(fdTargets().filter(target => target === socket).length, 2);
  t.is(native.closeWatch(watch), undefined);
  t.is(fdTargets().filter(target => target === socket).length, 1);
  device.resetAndDestroy();
  await until('the reset is here', () => native.socketError(fd) === 'ECONNRESET');
  near.destroy();
});

test('a watch may be closed in its own callback', async t => {
  const { near, device } = await pair('accepted');
  let told = 0;
  const watch = native.watchDisconnect(fdOf(near) ?? -1, () => {
    told++;
    if (typeof watch === 'number') native.closeWatch(watch);
  });
  device.resetAndDestroy();
  await until('the watch tells', () => told === 1);
  near.destroy();
  t.is(told, 1);
});

test('neighbours are those of the kernel, with interface and hardware address', t => {
  const found = native.neighbours();
  if (typeof found === 'string') return t.fail(found);
  for (const { interface: name, address, hardwareAddress, state } of found) {
    t.true(Object.hasOwn(networkInterfaces(), name) || name !== '', name);
    t.true(address.length === 4 || address.length === 16);
    t.true(hardwareAddress.length <= 32);
    t.true(Number.isInteger(state));
  }
});

const holdsEverything = `
  const held = Array.from({ length: 20 }, (_, i) => native[i % 2 ? 'reserveTcp' : 'reserveUdp']('127.0.0.1', 0).fd);
  held.push(native.duplicate(held[0]));
  const server = net.createServer(() => {}).listen(0, '127.0.0.1', () => {
    const socket = net.connect(server.address().port, '127.0.0.1', () => {
      for (let i = 0; i < 5; i++) native.watchDisconnect(socket._handle.fd, () => {});
      const closing = native.watchDisconnect(socket._handle.fd, () => {});
      parentPort.postMessage([...held, socket._handle.fd].map(socketOf));
      parentPort.once('message', () => { native.closeWatch(closing); process.exit(); });
    });
  });`;

for (const [how, end] of [
  ['terminated', (worker: Worker) => worker.terminate()],
  ['told to exit', (worker: Worker) => worker.postMessage('exit')],
] as const) {
  test(`when a worker is ${how}, every fd that the addon held for it is closed`, async t => {
    for (let round = 0; round < 5; round++) {
      const { sockets } = await inWorker(holdsEverything, end);
      t.is(sockets.length, 22);
      t.deepEqual(
        fdTargets().filter(target => sockets.includes(target)),
        [],
      );
    }
  });
}

test('watches of a worker do not keep it alive', async t => {
  const body = `
    const server = net.createServer(accepted => accepted.unref()).listen(0, '127.0.0.1', () => {
      const socket = net.connect(server.address().port, '127.0.0.1', () => {
        native.watchDisconnect(socket._handle.fd, () => {});
        parentPort.postMessage([socketOf(socket._handle.fd)]);
        socket.unref();
        server.unref();
      });
    });`;
  const { sockets } = await inWorker(body, () => {});
  t.is(sockets.length, 1);
  t.deepEqual(
    fdTargets().filter(target => sockets.includes(target)),
    [],
  );
});

test('what a watch callback throws is an uncaught exception of its thread', async t => {
  const body = `
    const resetOnData = accepted => accepted.on('data', () => accepted.resetAndDestroy());
    const server = net.createServer(resetOnData).listen(0, '127.0.0.1', () => {
      const socket = net.connect(server.address().port, '127.0.0.1', () => {
        socket.on('error', () => {});
        native.watchDisconnect(socket._handle.fd, () => { throw new Error('from the callback'); });
        parentPort.postMessage([socketOf(socket._handle.fd)]);
        socket.write('x');
      });
    });`;
  const { thrown } = await inWorker(body, () => {});
  t.is(thrown, 'from the callback');
});

const captureTest = mayCapture() ? test.serial : test.skip;

/** As {@link inWorker}, in a process with no other worker: how many sockets there were, and which are left. */
function inWorkerAlone(body: string, end: string): unknown {
  const source = `import(${JSON.stringify(new URL('./test-sockets.js', import.meta.url).href)}).then(
    async ({ fdTargets, inWorker }) => {
      const { sockets } = await inWorker(${JSON.stringify(body)}, ${end});
      const left = fdTargets().filter(target => sockets.includes(target));
      console.log(JSON.stringify({ count: sockets.length, left }));
    });`;
  return JSON.parse(execFileSync(process.execPath, ['--eval', source]).toString());
}

for (const [how, end] of [
  ['terminated', 'worker => worker.terminate()'],
  ['told to exit', "worker => worker.postMessage('exit')"],
] as const) {
  captureTest(`when a worker that captures is ${how}, its rings are gone (needs CAP_NET_RAW)`, t => {
    const body = `
      const { readdirSync } = require('node:fs');
      const links = () => readdirSync('/proc/self/fd').flatMap(fd => {
        try { return [socketOf(fd)]; } catch { return []; }
      });
      const before = links();
      const [one, other] = [native.startCapture(() => {}), native.startCapture(() => {})];
      for (const capture of [one, other]) {
        native.captureTargets(capture, new Uint8Array(18));
        native.captureInterface(capture, 'lo');
      }
      const sockets = links().filter(link => link.startsWith('socket:') && !before.includes(link));
      parentPort.postMessage(sockets);
      parentPort.once('message', () => { native.stopCapture(other); process.exit(); });`;
    for (let round = 0; round < 3; round++) t.deepEqual(inWorkerAlone(body, end), { count: 2, left: [] });
  });
}

captureTest(
  'a capture may be stopped in its own callback, and tells nothing after it (needs CAP_NET_RAW)',
  async t => {
    const { server, port } = await listener();
    let told = 0;
    const capture = native.startCapture(() => {
      told++;
      if (typeof capture === 'number') native.stopCapture(capture);
    });
    if (typeof capture !== 'number') return t.fail(capture);
    t.true(typeof native.captureInterface(capture, 'lo') === 'number');
    const mapped = Buffer.from('00000000000000000000ffff7f000001', 'hex');
    const target = Buffer.concat([Buffer.from([port >> 8, port & 255]), mapped]);
    t.is(native.captureTargets(capture, target.subarray(1)), 'EINVAL');
    t.is(native.captureTargets(capture, target), undefined);
    const visitors = [net.connect(port, '127.0.0.1'), net.connect(port, '127.0.0.1')];
    await until('the callback', () => told > 0);
    for (const visitor of visitors) visitor.destroy();
    server.close();
    t.is(native.captureCounters(capture), 'EBADF');
    t.is(told, 1);
  },
);

captureTest('an interface that is not there, or not captured, is ENODEV (needs CAP_NET_RAW)', t => {
  const capture = native.startCapture(nothing);
  if (typeof capture !== 'number') return t.fail(capture);
  t.is(native.captureInterface(capture, 'no-such-lan'), 'ENODEV');
  t.is(native.leaveInterface(capture, 'lo'), 'ENODEV');
  t.deepEqual(native.captureCounters(capture), { seen: 0, recorded: 0, lost: 0 });
  t.is(native.stopCapture(capture), undefined);
  t.is(native.stopCapture(capture), 'EBADF');
});

test('unmapProgram lets go of most of the program, which goes on', t => {
  const mappedKib = () =>
    Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  // Reads constants and code that nothing else here uses.
  t.is(new Intl.NumberFormat('de').format(1234.5), '1.234,5');
  const before = mappedKib();
  native.unmapProgram();
  t.true(mappedKib() < before * 0.8, `${before} KiB before, ${mappedKib()} after`);
  t.is(new Intl.NumberFormat('de').format(1234.5), '1.234,5');
});
