import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { finished, PassThrough, Readable } from 'node:stream';
import { finished as finishedPromise, pipeline } from 'node:stream/promises';
import test from 'ava';
import { device, eventsUntilClose, freePort, pattern, readAll } from './testing/devices.ts';
import { eventually } from './testing/eventually.ts';
import { attachedLab } from './testing/lab.ts';
import { TunnelError } from './tunnel-error.ts';

const host = '127.0.0.1';
const socketEvents = ['connect', 'ready', 'data', 'end', 'finish', 'error', 'timeout'];

test('bytes go both ways, addresses and counters are net.Socket’s, and both ends close cleanly', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const socket = attachment.connect({ host, port });
  t.true(socket.connecting);
  t.is(socket.readyState, 'opening');
  const seen = eventsUntilClose(
    socket,
    socketEvents.filter(name => name !== 'data'),
  );
  socket.end('ping');
  t.is((await readAll(socket)).toString(), 'ping');
  t.deepEqual(
    (await seen).map(({ name, args }) => [name, ...args]),
    [['finish'], ['connect'], ['ready'], ['end'], ['close', false]],
  );
  t.is(socket.remoteAddress, host);
  t.is(socket.remotePort, port);
  t.is(socket.remoteFamily, 'IPv4');
  t.is(typeof socket.localPort, 'number');
  t.is(socket.bytesRead, 4);
  t.is(socket.bytesWritten, 4);
  t.false(socket.pending);
});

test('P3.4: OPEN, CONNECT and the first bytes go without waiting for an answer', async t => {
  const { attachment, server } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  await attachment.ports();
  server.mediator.muteOpen = true;
  const socket = attachment.connect({ host, port });
  socket.write('early');
  t.is(String((await once(socket, 'data'))[0]), 'early');
  socket.destroy();
});

test('P3.5: resetBehindWritten is a reset behind all that was written, before and after there is a connection', async t => {
  const { attachment } = await attachedLab(t);
  const bytes = pattern(40_000);
  for (const connectFirst of [false, true]) {
    let got = 0;
    const { port } = await device(t, socket => {
      socket.on('data', piece => {
        got += piece.length;
      });
    });
    const socket = attachment.connect({ host, port });
    if (connectFirst) await once(socket, 'connect');
    socket.write(bytes);
    const [wasFailure] = await once(socket.resetBehindWritten(), 'close');
    t.false(wasFailure);
    await eventually('all of it is at the device', () => got === bytes.length);
  }
});

test('megabytes cross whole both ways', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const bytes = pattern(8 * 1024 * 1024);
  const socket = attachment.connect({ host, port });
  const [back] = await Promise.all([
    readAll(socket),
    pipeline(Readable.from(pieces(bytes)), socket, { end: true }),
  ]);
  t.is(createHash('sha256').update(back).digest('hex'), createHash('sha256').update(bytes).digest('hex'));
});

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7 + 3) % 70_000)
    yield bytes.subarray(at, at + size);
}

test('half-close: after the own end the other half goes on', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, async socket => {
    const question = await readAll(socket);
    socket.end(`you said ${question}`);
  });
  const socket = attachment.connect({ host, port, allowHalfOpen: true });
  socket.end('hello');
  t.is((await readAll(socket)).toString(), 'you said hello');
});

test('half-close: with allowHalfOpen the own half goes on after the peer’s FIN, without it it ends', async t => {
  const { attachment } = await attachedLab(t);
  const heard: Promise<Buffer>[] = [];
  const { port } = await device(t, socket => {
    socket.end('greeting');
    heard.push(readAll(socket));
  });
  const open = attachment.connect({ host, port, allowHalfOpen: true });
  open.resume();
  await once(open, 'end');
  t.true(open.writable);
  open.end('still here');
  await once(open, 'close');
  const closing = attachment.connect({ host, port });
  closing.resume();
  await once(closing, 'close');
  t.true(closing.writableEnded);
  t.deepEqual((await Promise.all(heard)).map(String), ['still here', '']);
});

test('close after an orderly end says that everything has been acknowledged: detaching then loses nothing', async t => {
  const { attachment } = await attachedLab(t);
  const bytes = pattern(300_000);
  const heard = new Promise<Buffer>(resolve => {
    void device(t, socket => {
      socket.end();
      resolve(readAll(socket));
    }).then(({ port }) => {
      const socket = attachment.connect({ host, port });
      socket.resume();
      socket.end(bytes);
      socket.once('close', () => attachment.detach());
    });
  });
  t.true((await heard).equals(bytes));
});

test('P3.5: a RST of the device is ECONNRESET after all bytes before it, close(true), and never end', async t => {
  const { attachment } = await attachedLab(t);
  const bytes = pattern(100_000);
  const { port } = await device(t, socket => {
    socket.write(bytes, () => socket.once('data', () => socket.resetAndDestroy()));
  });
  const socket = attachment.connect({ host, port });
  const seen = eventsUntilClose(socket, ['end', 'error']);
  let got = 0;
  socket.on('data', chunk => {
    got += chunk.length;
    if (got === bytes.length) socket.write('thanks');
  });
  const [error, close] = await seen;
  t.is(got, bytes.length);
  t.is(error?.name, 'error');
  t.like(error?.args[0], { name: 'TunnelError', code: 'ECONNRESET', reason: 'peer-reset' });
  t.deepEqual(close, { name: 'close', args: [true] });
});

test('P3.5: bytes that a slow reader has not read are given before the RST is told', async t => {
  const { attachment, server } = await attachedLab(t);
  const { port } = await device(t, socket => {
    socket.write(pattern(5000), () => socket.once('data', () => socket.resetAndDestroy()));
  });
  const socket = attachment.connect({ host, port });
  socket.pause();
  const rst = new Promise<void>(resolve => {
    attachment.on('event', event => event.kind === 'rst' && resolve());
  });
  await once(socket, 'connect');
  socket.write('x');
  await rst;
  t.is(server.mediator.session.streamCount, 0);
  let got = 0;
  await t.throwsAsync(
    (async () => {
      for await (const chunk of socket) got += chunk.length;
    })(),
    { code: 'ECONNRESET' },
  );
  t.is(got, 5000);
});

test('resetAndDestroy becomes a real RST at the device, and only close follows', async t => {
  const { attachment } = await attachedLab(t);
  let atDevice: Promise<{ name: string; args: unknown[] }[]> | undefined;
  const { port } = await device(t, socket => {
    socket.resume();
    atDevice = eventsUntilClose(socket, ['end', 'error']);
  });
  const socket = attachment.connect({ host, port });
  const seen = eventsUntilClose(socket, ['end', 'error']);
  await once(socket, 'connect');
  socket.resetAndDestroy();
  t.deepEqual(await seen, [{ name: 'close', args: [false] }]);
  const [error] = (await atDevice) ?? [];
  t.like(error?.args[0], { code: 'ECONNRESET' });
});

test('destroy() with something unwritten is a RST: half a transfer must not look whole', async t => {
  const { attachment } = await attachedLab(t);
  let atDevice: Promise<{ name: string; args: unknown[] }[]> | undefined;
  const { port } = await device(t, socket => {
    socket.resume();
    atDevice = eventsUntilClose(socket, ['end', 'error']);
  });
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  const written = new Promise(resolve => socket.write(Buffer.alloc(4 * 1024 * 1024), resolve));
  socket.on('error', () => {});
  socket.destroy(new Error('disk on fire'));
  t.truthy(await written);
  t.deepEqual(
    (await atDevice)?.map(({ name }) => name),
    ['error', 'close'],
  );
});

test('destroy() of an idle socket is a FIN, and RESET when the device goes on', async t => {
  const { attachment } = await attachedLab(t);
  const accepted = new Promise<Socket>(resolve => {
    void device(t, resolve).then(({ port }) => {
      const socket = attachment.connect({ host, port });
      socket.once('connect', () => socket.destroy());
    });
  });
  const atDevice = await accepted;
  atDevice.resume();
  await once(atDevice, 'end');
  // Node notices a RST behind a FIN that was read by a write only.
  const ask = () => void (atDevice.writable && atDevice.write('anybody there?', () => setImmediate(ask)));
  const failed = once(atDevice, 'error');
  ask();
  t.regex((await failed)[0].code, /ECONNRESET|EPIPE/);
});

test('destroySoon, as http.Server uses it, sends everything although the peer goes on sending', async t => {
  const { attachment } = await attachedLab(t);
  const answer = pattern(200_000);
  const accepted = new Promise<Socket>(resolve => {
    void device(t, resolve).then(({ port }) => {
      const socket = attachment.connect({ host, port });
      socket.once('data', () => {
        socket.write(answer);
        socket.destroySoon();
      });
    });
  });
  const atDevice = await accepted;
  atDevice.write(pattern(30_000));
  t.true((await readAll(atDevice)).equals(answer));
  atDevice.end();
});

/** Lets the event loop turn until `value` has stood still for a while. */
async function standstill(value: () => number): Promise<number> {
  for (let before = -1, still = 0; still < 300; before = value()) {
    await new Promise(resolve => setImmediate(resolve));
    still = before === value() ? still + 1 : 0;
  }
  return value();
}

test('a socket that is not read stops the device at the window, and memory with it', async t => {
  const { attachment } = await attachedLab(t);
  const source = new Readable({ read: () => source.push(Buffer.alloc(64 * 1024)) });
  let atDevice: Socket | undefined;
  const { port } = await device(t, socket => {
    atDevice = socket;
    source.pipe(socket);
  });
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  await standstill(() => atDevice?.bytesWritten ?? 0);
  t.true(socket.bytesRead > 0);
  t.true(socket.bytesRead <= 512 * 1024, `${socket.bytesRead} bytes`);
  const before = socket.bytesRead;
  socket.resume();
  await standstill(() => Math.min(socket.bytesRead, 4 * before));
  t.true(socket.bytesRead >= 4 * before);
  socket.destroy();
});

test('a device that does not read stops the writer, at the share of the replay budget', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pause());
  const socket = attachment.connect({ host, port });
  let offered = 0;
  const source = new Readable({
    read() {
      offered += 64 * 1024;
      this.push(Buffer.alloc(64 * 1024));
    },
  });
  source.pipe(socket);
  await standstill(() => offered);
  t.true(offered < 32 * 1024 * 1024, `${offered} bytes`);
  t.true(socket.writableNeedDrain);
  socket.destroy();
});

test('errors of a connection: codes are Node’s, reasons the catalogue’s, the port is given back', async t => {
  const { attachment, server } = await attachedLab(t);
  const port = await freePort();
  const [error, close] = await eventsUntilClose(attachment.connect({ host, port }), ['end', 'error']);
  t.true(error?.args[0] instanceof TunnelError);
  t.like(error?.args[0], { code: 'ECONNREFUSED', reason: 'refused', by: 'mediator' });
  t.deepEqual(close?.args, [true]);
  await attachment.ports();
  t.is(server.mediator.commands.at(-2)?.verb, 'close');
  t.is(server.mediator.session.streamCount, 0);
});

const refusals = [
  ['not-permitted', 'EACCES'],
  ['consent-required', 'EACCES'],
  ['outside-hours', 'EACCES'],
  ['unreachable', 'EHOSTUNREACH'],
  ['timed-out', 'ETIMEDOUT'],
  ['address-in-use', 'EADDRINUSE'],
  ['no-such-name', 'ENOTFOUND'],
  ['limit', 'limit'],
] as const;

for (const [reason, code] of refusals) {
  test(`a connection refused with ${reason} fails with ${code}`, async t => {
    const { attachment, server } = await attachedLab(t);
    server.mediator.refusals.set('connect', reason);
    const socket = attachment.connect({ host, port: 80 });
    const [error] = await once(socket, 'error');
    t.like(error, { code, reason });
  });
}

test('when OPEN is refused, its reason is told, not that of the CONNECT behind it', async t => {
  const { attachment, server } = await attachedLab(t);
  server.mediator.refusals.set('open', 'not-permitted');
  const [error] = await once(attachment.connect({ host, port: 80 }), 'error');
  t.like(error, { code: 'EACCES', message: 'refused: not-permitted' });
});

test('a host or number that cannot be is an error of the socket', async t => {
  const { attachment } = await attachedLab(t);
  for (const target of [
    { host: '127.1', port: 80 },
    { host, port: 0 },
    { host: '', port: 1 },
  ]) {
    const [error] = await once(attachment.connect(target), 'error');
    t.like(error, { reason: 'bad-request' });
  }
});

test('names are resolved by the mediator, in IPv4 first and then in IPv6', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => socket.end('six'), '::1');
  for (let round = 0; round < 2; round++) {
    const socket = attachment.connect({ host: 'six.lan', port });
    socket.write('held until it is clear where it goes');
    t.is((await readAll(socket)).toString(), 'six');
    t.is(socket.remoteAddress, '::1');
    t.is(socket.remoteFamily, 'IPv6');
  }
  const [error] = await once(attachment.connect({ host: 'nowhere.lan', port }), 'error');
  t.like(error, { code: 'ENOTFOUND', reason: 'no-such-name' });
});

test('an aborted signal destroys the socket with an AbortError, whether it is connecting, connected or new', async t => {
  const { attachment, server } = await attachedLab(t);
  const { port } = await device(t, socket => socket.resume());
  const connecting = new AbortController();
  const first = attachment.connect({ host, port, signal: connecting.signal });
  connecting.abort();
  t.like((await once(first, 'error'))[0], { name: 'AbortError' });
  const connected = new AbortController();
  const second = attachment.connect({ host, port, signal: connected.signal });
  await once(second, 'connect');
  connected.abort();
  t.like((await once(second, 'error'))[0], { name: 'AbortError' });
  const third = attachment.connect({ host, port, signal: AbortSignal.abort() });
  t.like((await once(third, 'error'))[0], { name: 'AbortError' });
  await attachment.ports();
  t.is(server.mediator.session.streamCount, 0);
});

test('P3.6: when the link is lost every socket has an error and never an end', async t => {
  const { attachment, server } = await attachedLab(t);
  const { port } = await device(t, socket => socket.write('hello'));
  const socket = attachment.connect({ host, port });
  const seen = eventsUntilClose(socket, ['end', 'error']);
  await once(socket, 'data');
  const closed = once(attachment, 'closed');
  server.breakLink();
  t.like((await closed)[0], { reason: 'link-lost' });
  const [error, close] = await seen;
  t.like(error?.args[0], { code: 'ECONNRESET', reason: 'link-lost' });
  t.deepEqual(close?.args, [true]);
});

test('detaching closes the sockets that are open, without an error but not as if they had ended', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const socket = attachment.connect({ host, port });
  socket.resume();
  const ended = finishedPromise(socket);
  const seen = eventsUntilClose(socket, ['end', 'error']);
  await once(socket, 'connect');
  attachment.detach();
  t.deepEqual(await seen, [{ name: 'close', args: [false] }]);
  await t.throwsAsync(ended, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
});

test('setTimeout tells of a socket on which nothing happens, and is put off by what does', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  const fired = once(socket, 'timeout');
  t.is(socket.setTimeout(20), socket);
  t.is(socket.timeout, 20);
  await fired;
  t.false(socket.destroyed);
  socket.setTimeout(0);
  for (const same of [socket.setNoDelay(true), socket.setKeepAlive(true, 1), socket.ref(), socket.unref()])
    t.is(same, socket);
  socket.destroy();
});

test('finished(), pipeline and async iteration know a tunnel socket’s ends', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => {
    socket.resume();
    socket.end('all of it');
  });
  const socket = attachment.connect({ host, port });
  const sink = new PassThrough();
  await Promise.all([pipeline(socket, sink), finishedPromise(socket)]);
  t.is(sink.read().toString(), 'all of it');
  const reset = attachment.connect({ host, port });
  const failed = new Promise<unknown>(resolve => void finished(reset, resolve));
  reset.resetAndDestroy();
  t.like(await failed, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
});

test('what an application throws in an event does not end the stream or the attachment', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const socket = attachment.connect({ host, port });
  const thrown = new Promise<unknown>(resolve => {
    process.setUncaughtExceptionCaptureCallback(resolve);
  });
  t.teardown(() => process.setUncaughtExceptionCaptureCallback(null));
  socket.once('data', () => {
    throw new Error('application bug');
  });
  socket.write('1');
  t.like(await thrown, { message: 'application bug' });
  const again = once(socket, 'data');
  socket.write('2');
  t.is(String((await again)[0]), '2');
  socket.destroy();
});

test('many small writes leave as few frames', async t => {
  const { attachment, server } = await attachedLab(t);
  const { port } = await device(t, socket => socket.pipe(socket));
  const socket = attachment.connect({ host, port });
  await once(socket, 'connect');
  const before = server.frames;
  socket.cork();
  for (let index = 0; index < 1000; index++) socket.write('0123456789');
  socket.end();
  t.is((await readAll(socket)).length, 10_000);
  t.is(socket.bytesWritten, 10_000);
  t.true(server.frames - before < 10, `${server.frames - before} frames`);
});
