import type { Worker } from 'node:worker_threads';
import test from 'ava';
import { requireAddon } from './addon.ts';
import type { NativeRelays } from './relay-addon.ts';
import { fdTargets, inWorker, until } from './test-sockets.ts';

const native = requireAddon();
const bytes = new Uint8Array(0);
const peer = Uint8Array.of(4, 127, 0, 0, 1, 0, 9);
const key = [1, new Uint8Array(16), new Uint8Array(12)];
const target = [1, 0, 0, 0, bytes];

/** Good arguments of every function, about a relay that is not there; the tests below spoil them one by one. */
const calls: Record<keyof NativeRelays, readonly unknown[]> = {
  openRelay: [() => {}, 1, 1, 1, 1, 1],
  closeRelay: [0],
  relayCounters: [0],
  relayChannelCounters: [0, 1],
  relayOpenServiceDoor: [0, '127.0.0.1', 0],
  relayOpenMemberDoor: [0, peer],
  relayCloseDoor: [0, 1],
  relayDoorNumber: [0, 1],
  relayAddChannel: [0, 1, 0, ...key, ...key],
  relayAddEpoch: [0, 1, 0, ...key, ...key, true],
  relaySetPath: [0, 1, 1, peer, 1200, 1200],
  relayRemoveChannel: [0, 1],
  relayAddPort: [0, 0, true, false, bytes],
  relayAddService: [0, peer, 1, 1, 1],
  relayRemovePort: [0, 1],
  relayLimitPort: [0, 1, 1, 1],
  relayApprove: [0, 1, peer],
  relayRefuse: [0, 1, peer],
  relayClearApprovals: [0, 1],
  relayBindPort: [0, 1, ...target],
  relayBindPeer: [0, 1, peer, ...target, 0],
  relayBindRoute: [0, 1, 1, false, ...target, bytes],
  relayUnbindRoute: [0, 1, 1],
  relaySendControl: [0, 1, 1, peer, 6, bytes],
  relaySendDatagram: [0, 1, 1, peer, bytes],
  relaySendPlain: [0, 1, peer, bytes, bytes],
};

function call(name: string, given: readonly unknown[]): unknown {
  return Reflect.apply(Reflect.get(native, name), native, given);
}

test('the table of calls above is all that the addon exports of relays', t => {
  t.deepEqual(
    Object.keys(calls).sort(),
    Object.keys(native)
      .filter(key => /relay/i.test(key))
      .sort(),
  );
});

const spoiled = [undefined, null, {}, [], Symbol('x'), 1n, Number.NaN, -1, 1.5, 2 ** 32, -(2 ** 40)];

for (const [name, good] of Object.entries(calls)) {
  test(`${name} throws a TypeError for arguments of a wrong type`, t => {
    for (const index of good.keys())
      for (const bad of spoiled) {
        const message = `argument ${index} = ${String(bad)}`;
        t.throws(() => call(name, good.with(index, bad)), { instanceOf: TypeError }, message);
      }
    t.throws(() => call(name, []), { instanceOf: TypeError });
  });
}

test('keys of a wrong length are refused', t => {
  for (const [at, length] of [
    [4, 15],
    [4, 32],
    [5, 11],
    [7, 0],
    [8, 16],
  ] as const) {
    const given = calls.relayAddChannel.with(at, new Uint8Array(length));
    t.throws(() => call('relayAddChannel', given), { instanceOf: TypeError }, `argument ${at}`);
  }
});

test('a relay that is not there is EBADF where something is made, and passed over elsewhere', t => {
  const making = [
    'closeRelay',
    'relayOpenServiceDoor',
    'relayOpenMemberDoor',
    'relayAddPort',
    'relayAddService',
  ];
  for (const [name, good] of Object.entries(calls)) {
    if (name === 'openRelay') continue;
    const answer = call(name, good.with(0, 2 ** 32 - 1));
    if (making.includes(name)) t.is(answer, 'EBADF', name);
    else t.true(answer === undefined || answer === 0 || answer instanceof Float64Array, name);
  }
});

/** A relay in full swing: what comes to one of its ports goes back from there, and each time somebody is told. */
const relayInFullSwing = `
  const bound = native.reserveUdp('127.0.0.1', 0);
  const socket = socketOf(bound.fd);
  const self = Uint8Array.of(4, 127, 0, 0, 1, bound.port >> 8, bound.port & 255);
  let told = 0;
  const relay = native.openRelay(() => {
    for (let i = 0; i < 20; i++) native.relaySendPlain(relay, port, self, new Uint8Array(0), new Uint8Array(200));
    if (++told === 20) parentPort.postMessage([socket]);
  }, 1, 1, 1, 1, 1);
  const port = native.relayAddPort(relay, bound.fd, false, false, new Uint8Array(0));
  native.relayOpenServiceDoor(relay, '127.0.0.1', 0);
  native.relaySendPlain(relay, port, self, new Uint8Array(0), new Uint8Array(200));
  parentPort.once('message', () => process.exit());`;

for (const [how, end] of [
  ['terminated', (worker: Worker) => worker.terminate()],
  ['told to exit', (worker: Worker) => worker.postMessage('exit')],
] as const) {
  test(`when a worker is ${how}, its relay ends in full swing and its sockets are closed`, async t => {
    for (let round = 0; round < 5; round++) {
      const { sockets, thrown } = await inWorker(relayInFullSwing, end);
      t.is(thrown, '');
      t.is(sockets.length, 1);
      t.deepEqual(
        fdTargets().filter(target => sockets.includes(target)),
        [],
      );
    }
  });
}

test('a relay may be closed in its own callback, and tells nothing after that', async t => {
  const bound = native.reserveUdp('127.0.0.1', 0);
  if (typeof bound === 'string') return t.fail(bound);
  const self = Uint8Array.of(4, 127, 0, 0, 1, bound.port >> 8, bound.port & 255);
  let told = 0;
  const relay = native.openRelay(
    () => {
      told++;
      native.closeRelay(Number(relay));
    },
    ...([1, 1, 1, 1, 1] as const),
  );
  const port = native.relayAddPort(Number(relay), bound.fd, false, false, new Uint8Array(0));
  for (let index = 0; index < 100; index++)
    native.relaySendPlain(Number(relay), Number(port), self, bytes, new Uint8Array(10));
  await until('it is told', () => told > 0);
  t.is(native.closeRelay(Number(relay)), 'EBADF');
  t.is(told, 1);
});

test('what a relay callback throws is an uncaught exception of its thread', async t => {
  const body = relayInFullSwing.replace('if (++told', "throw new Error('from the callback'); if (++told");
  const { thrown } = await inWorker(body, () => {});
  t.is(thrown, 'from the callback');
});
