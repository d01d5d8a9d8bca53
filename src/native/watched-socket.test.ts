import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import test from 'ava';
import { rewrapAccepted } from './accepted.ts';
import { type NativeSockets, requireAddon } from './addon.ts';
import { fdOf } from './fd-of.ts';
import type { SlabReader } from './slab-reader.ts';
import { accept, closeOf, fdTargets, listener, pair, readAll, socketOf, until } from './test-sockets.ts';
import { WatchedSocket } from './watched-socket.ts';

const native = requireAddon();

/** Everything a watched socket told, in order: 'data', 'seen fin', 'fin', 'reset ECONNRESET', 'close'. */
interface Diary {
  readonly watched: WatchedSocket;
  readonly device: Socket;
  /** Consecutive 'data' entries count as one. */
  readonly told: string[];
  bytes(): Buffer;
  /** Runs once, within the next data callback. */
  atData: () => void;
}

type Mode = 'connected' | 'accepted' | 'rewrapped';
const modes: readonly Mode[] = ['connected', 'accepted', 'rewrapped'];

async function diary(mode: Mode, addon: NativeSockets | 'no addon' = native): Promise<Diary> {
  const { near, device } = await pair(mode === 'connected' ? 'connected' : 'accepted');
  const told: string[] = [];
  const chunks: Buffer[] = [];
  const tell = (what: string) => {
    if (what !== 'data' || told.at(-1) !== 'data') told.push(what);
  };
  const keep = (bytes: Uint8Array) => {
    chunks.push(Buffer.from(bytes));
    tell('data');
    const { atData } = it;
    it.atData = () => {};
    atData();
  };
  const slab = new Uint8Array(16_384);
  const slabs: SlabReader | undefined =
    mode === 'rewrapped'
      ? {
          nextBuffer: () => slab,
          received: (lengthBytes, buffer) => keep(buffer.subarray(0, lengthBytes)),
        }
      : undefined;
  const socket = slabs === undefined ? near : rewrapAccepted(native, near, slabs);
  const watched = new WatchedSocket(
    socket,
    {
      onData: keep,
      onFin: () => tell('fin'),
      onReset: errno => tell(`reset ${errno}`),
      onClose: () => tell('close'),
      onSeen: seen => tell(`seen ${seen}`),
    },
    { native: addon === 'no addon' ? undefined : addon, slabs },
  );
  const it: Diary = { watched, device, told, bytes: () => Buffer.concat(chunks), atData() {} };
  return it;
}

const without = (told: readonly string[], what: string) => told.filter(entry => !entry.startsWith(what));
const closed = ({ told }: Diary) => until('close is told', () => told.includes('close'));
const unread = ({ watched }: Diary) => native.unreadBytes(fdOf(watched.socket) ?? -1);

/** Bytes that show where they stood. */
function pattern(lengthBytes: number): Buffer {
  return Buffer.from(
    Uint8Array.from({ length: lengthBytes }, (_, index) => (index * 31 + (index >> 8)) % 256),
  );
}

for (const mode of modes) {
  test(`${mode}: a connection that is closed before its own end, as by a killed process, is a RST for the peer`, async t => {
    const it = await diary(mode);
    const answer = readAll(it.device);
    it.watched.socket.destroy();
    t.deepEqual(await answer, { text: '', end: 'ECONNRESET' });
  });

  test(`${mode}: FIN behind data is told after all of it, and the own direction stays open`, async t => {
    const it = await diary(mode);
    const bytes = pattern(300_000);
    it.watched.resume();
    it.device.end(bytes);
    await until('fin is told', () => it.told.includes('fin'));
    t.true(it.bytes().equals(bytes));
    const answer = readAll(it.device);
    it.watched.write(Buffer.from('after your FIN'));
    it.watched.end();
    t.deepEqual(await answer, { text: 'after your FIN', end: 'fin' });
    await closed(it);
    t.deepEqual(without(it.told, 'seen'), ['data', 'fin', 'close']);
  });

  test(`${mode}: after the own FIN the peer's data and FIN still come`, async t => {
    const it = await diary(mode);
    it.watched.resume();
    it.watched.write(Buffer.from('all I have'));
    it.watched.end();
    t.deepEqual(await readAll(it.device), { text: 'all I have', end: 'fin' });
    it.device.end('and mine');
    await closed(it);
    t.is(it.bytes().toString(), 'and mine');
    t.deepEqual(without(it.told, 'seen'), ['data', 'fin', 'close']);
  });

  test(`${mode}: a RST behind unread data is a reset after the data, 50 times of 50`, async t => {
    for (let round = 0; round < 50; round++) {
      const it = await diary(mode);
      const bytes = pattern(1 + ((round * 7919) % 100_005));
      it.device.write(bytes, () => it.device.resetAndDestroy());
      if (round % 2 === 0) await until('the RST is here', () => it.told.includes('seen reset'));
      it.watched.resume();
      await closed(it);
      t.deepEqual(without(it.told, 'seen'), ['data', 'reset ECONNRESET', 'close'], `round ${round}`);
      // What the device's kernel had not sent yet is gone with the RST.
      t.true(bytes.subarray(0, it.bytes().length).equals(it.bytes()));
      if (round % 2 === 0) t.is(it.bytes().length, bytes.length);
    }
  });

  test(`${mode}: while paused, a RST is seen at once and told after the data that stood before it`, async t => {
    const it = await diary(mode);
    const bytes = pattern(100_005);
    it.device.write(bytes);
    await until('the data is here', () => unread(it) === bytes.length);
    it.device.resetAndDestroy();
    await until('the RST is seen', () => it.told.length > 0);
    t.deepEqual(it.told, ['seen reset']);
    it.watched.resume();
    await closed(it);
    t.true(it.bytes().equals(bytes));
    t.deepEqual(it.told, ['seen reset', 'data', 'reset ECONNRESET', 'close']);
  });

  test(`${mode}: while paused with nothing to read, FIN and then RST are told without resume`, async t => {
    const it = await diary(mode);
    it.device.end();
    await until('fin is told', () => it.told.includes('fin'));
    it.device.resetAndDestroy();
    await closed(it);
    t.deepEqual(it.told, ['seen fin', 'fin', 'seen reset', 'reset EPIPE', 'close']);
  });

  test(`${mode}: while paused with nothing to read, a RST is told without resume`, async t => {
    const it = await diary(mode);
    it.device.resetAndDestroy();
    await closed(it);
    t.deepEqual(it.told, ['seen reset', 'reset ECONNRESET', 'close']);
  });

  test(`${mode}: FIN and then RST, both behind unread data, are a reset after the data`, async t => {
    const it = await diary(mode);
    it.device.end('last words');
    await until('the FIN is seen', () => it.told.includes('seen fin'));
    it.device.resetAndDestroy();
    await until('the RST is seen', () => it.told.includes('seen reset'));
    it.watched.resume();
    await closed(it);
    t.is(it.bytes().toString(), 'last words');
    // EPIPE is the kernel's word for a RST after a FIN.
    t.deepEqual(without(it.told, 'seen'), ['data', 'reset EPIPE', 'close']);
  });

  test(`${mode}: a RST after the own FIN is a reset`, async t => {
    const it = await diary(mode);
    it.watched.resume();
    it.watched.end();
    await once(it.device.resume(), 'end');
    it.device.resetAndDestroy();
    await closed(it);
    t.deepEqual(without(it.told, 'seen'), ['reset ECONNRESET', 'close']);
  });

  test(`${mode}: a write into a reset connection loses nothing of what had come before`, async t => {
    const it = await diary(mode);
    const bytes = pattern(100_005);
    it.device.write(bytes);
    await until('the data is here', () => unread(it) === bytes.length);
    it.device.resetAndDestroy();
    await until('the kernel knows', () => {
      const info = native.tcpInfo(fdOf(it.watched.socket) ?? -1);
      return typeof info !== 'string' && info.state === 7;
    });
    // Past the class, which would drop the bytes if the watch was faster.
    it.watched.socket.write('too late');
    await closeOf(it.watched.socket);
    t.false(it.told.includes('data'), 'paused means paused');
    it.watched.resume();
    await closed(it);
    t.true(it.bytes().equals(bytes));
    t.regex(without(it.told, 'seen').join(), /^data,reset E[A-Z]+,close$/);
  });

  test(`${mode}: what is salvaged stops at pause and goes on at resume, and reset ends it`, async t => {
    for (const last of ['resume', 'reset'] as const) {
      const it = await diary(mode);
      const bytes = pattern(100_005);
      it.device.write(bytes);
      await until('the data is here', () => unread(it) === bytes.length);
      it.device.resetAndDestroy();
      it.watched.socket.destroy(Object.assign(new Error('as a failing write does'), { code: 'EPIPE' }));
      await closeOf(it.watched.socket);
      it.atData = () => it.watched.pause();
      it.watched.resume();
      await until('a first part', () => it.bytes().length > 0);
      const had = it.bytes().length;
      for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve));
      t.true(had < bytes.length && it.bytes().length === had);
      it.watched[last]();
      await closed(it);
      t.is(it.bytes().length, last === 'resume' ? bytes.length : had);
      t.is(it.told.includes('reset EPIPE'), last === 'resume');
    }
  });

  test(`${mode}: reset() is a real RST at the peer, also with data queued, unread, or after end()`, async t => {
    for (const what of ['nothing', 'queued', 'ending', 'unread', 'after its FIN'] as const) {
      const it = await diary(mode);
      if (what === 'unread') {
        it.device.write('x');
        await until('it is here', () => unread(it) === 1);
      }
      if (what === 'after its FIN') {
        it.watched.resume();
        it.device.end();
        await until('fin is told', () => it.told.includes('fin'));
      }
      if (what === 'queued' || what === 'ending') it.watched.write(Buffer.alloc(22_000_000));
      if (what === 'ending') it.watched.end();
      await new Promise(resolve => setImmediate(resolve));
      it.watched.reset();
      it.watched.reset();
      t.is((await readAll(it.device)).end, 'ECONNRESET', what);
      await closed(it);
      t.deepEqual(
        without(without(it.told, 'seen'), 'data'),
        what === 'after its FIN' ? ['fin', 'close'] : ['close'],
        what,
      );
    }
  });

  test(`${mode}: pause stops data, resume goes on, nothing is lost or doubled`, async t => {
    const it = await diary(mode);
    const bytes = pattern(2_000_000);
    it.device.end(bytes);
    let pauses = 0;
    while (!it.told.includes('fin')) {
      it.watched.resume();
      await new Promise(resolve => setImmediate(resolve));
      it.watched.pause();
      const had = it.bytes().length;
      await new Promise(resolve => setImmediate(resolve));
      t.is(it.bytes().length, had);
      pauses++;
    }
    t.true(pauses > 1);
    t.true(it.bytes().equals(bytes));
    it.watched.end();
    it.watched.resume();
    await closed(it);
  });

  test(`${mode}: when it is closed, no fd of the connection is left`, async t => {
    for (const how of ['fin', 'peer reset', 'own reset'] as const) {
      const it = await diary(mode);
      const socket = socketOf(fdOf(it.watched.socket) ?? -1);
      it.watched.resume();
      if (how === 'fin') it.watched.end();
      if (how === 'fin') it.device.resume().end();
      if (how === 'peer reset') it.device.resetAndDestroy();
      if (how === 'own reset') it.watched.reset();
      await closed(it);
      t.false(fdTargets().includes(socket), how);
      it.device.destroy();
    }
  });
}

test('writes to a connection that is known to be dead are dropped, and said to be done with', async t => {
  const it = await diary('connected');
  it.device.write('unread');
  await until('it is here', () => unread(it) === 6);
  it.device.resetAndDestroy();
  await until('the RST is seen', () => it.told.includes('seen reset'));
  await new Promise<void>(resolve => t.false(it.watched.write(Buffer.from('x'), resolve)));
  t.false(it.watched.socket.destroyed);
  it.watched.resume();
  await closed(it);
  t.is(it.bytes().toString(), 'unread');
});

test('bytes that Node has read ahead of a pause are not lost in a RST', async t => {
  const it = await diary('connected');
  it.atData = () => it.watched.pause();
  it.watched.resume();
  it.device.write('first');
  await until('the first is here', () => it.told.includes('data'));
  it.device.write(', second');
  await until('Node has read the second', () => it.watched.socket.readableLength === 8);
  it.device.resetAndDestroy();
  // Whether Node reads on beside what it has read ahead, and closes, or the watch alone sees it, is Node's own affair.
  await until('the RST is noticed', () => it.watched.socket.destroyed || it.told.includes('seen reset'));
  t.is(it.bytes().toString(), 'first');
  it.watched.resume();
  await closed(it);
  t.is(it.bytes().toString(), 'first, second');
  t.is(it.told.at(-2), 'reset ECONNRESET');
});

test('half-close is kept even for a socket that was made without it', async t => {
  const { server, port } = await listener();
  const near = net.connect(port, '127.0.0.1');
  const [device] = await Promise.all([accept(server), once(near, 'connect')]);
  server.close();
  const later = () => setImmediate(() => watched.write(Buffer.from('long after your FIN')));
  const handlers = { onFin: later, onReset() {}, onClose() {} };
  const watched = new WatchedSocket(near, handlers, { native });
  watched.resume();
  device.end();
  await once(device.resume(), 'data');
  watched.end();
  t.is((await readAll(device)).end, 'fin');
});

test('a full queue is told by write and onDrain', async t => {
  const { near, device } = await pair('connected');
  let drains = 0;
  const silent = { onFin() {}, onReset() {}, onClose() {} };
  const watched = new WatchedSocket(near, { ...silent, onDrain: () => drains++ }, { native });
  t.false(watched.write(Buffer.alloc(22_000_000)));
  device.resume();
  await until('drain is told', () => drains === 1);
  watched.reset();
  device.destroy();
});

test('without the addon FIN, a noticed RST, half-close and the own RST work as far as Node tells', async t => {
  const fin = await diary('connected', 'no addon');
  fin.watched.resume();
  fin.device.end('bytes');
  await until('fin is told', () => fin.told.includes('fin'));
  fin.watched.write(Buffer.from('answer'));
  fin.watched.end();
  t.deepEqual(await readAll(fin.device), { text: 'answer', end: 'fin' });
  await closed(fin);
  t.deepEqual(fin.told, ['data', 'fin', 'close']);

  const rst = await diary('accepted', 'no addon');
  rst.watched.resume();
  await new Promise(resolve => setImmediate(resolve));
  rst.device.resetAndDestroy();
  await closed(rst);
  t.deepEqual(rst.told, ['reset ECONNRESET', 'close']);

  const own = await diary('accepted', 'no addon');
  own.watched.reset();
  t.is((await readAll(own.device)).end, 'ECONNRESET');
  await closed(own);
});

test('without the addon a reset right behind end() still closes the connection', async t => {
  const it = await diary('connected', 'no addon');
  it.watched.end();
  it.watched.reset();
  await until('it is closed', () => it.told.includes('close'));
  t.deepEqual(it.told, ['close']);
  t.is(fdOf(it.watched.socket), undefined);
  it.device.destroy();
});

test('when fds run out the socket works without its watch', async t => {
  const { near, device } = await pair('accepted');
  const told: string[] = [];
  const outOfFds = { ...native, watchDisconnect: () => 'EMFILE' };
  const handlers = { onFin: () => told.push('fin'), onReset() {}, onClose: () => told.push('close') };
  const watched = new WatchedSocket(near, handlers, { native: outOfFds });
  watched.resume();
  watched.end();
  device.resume().end();
  await until('close is told', () => told.includes('close'));
  t.deepEqual(told, ['fin', 'close']);
});

test('a RST whose error Node has read before the watch looks is seen as a RST, not as a FIN', async t => {
  const { near, device } = await pair('accepted');
  const seen: string[] = [];
  let watch = (_seen: 'fin' | 'reset') => {};
  const late = {
    ...native,
    watchDisconnect: (_fd: number, callback: typeof watch) => {
      watch = callback;
      return 'EMFILE';
    },
  };
  const handlers = { onFin() {}, onReset() {}, onClose() {}, onSeen: (what: string) => seen.push(what) };
  const watched = new WatchedSocket(near, handlers, { native: late });
  near.once('error', () => watch('fin'));
  watched.resume();
  await new Promise(resolve => setImmediate(resolve));
  device.resetAndDestroy();
  await closeOf(near);
  t.deepEqual(seen, ['reset']);
});
