import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import test from 'ava';
import { joinStdio } from './join-stdio.ts';
import { device, eventsUntilClose, freePort, pattern, readAll } from './testing/devices.ts';
import { attachedLab } from './testing/lab.ts';

const host = '127.0.0.1';

function stdio() {
  const [input, output] = [new PassThrough(), new PassThrough()];
  return { input, output, endOutput: () => void output.end() };
}

test('stdin goes out, what comes goes to stdout, half-close both ways, and the end is when both have ended', async t => {
  const { attachment } = await attachedLab(t);
  const { port } = await device(t, async socket => {
    socket.write('banner ');
    const heard = await readAll(socket);
    socket.end(heard);
  });
  const streams = stdio();
  const joined = joinStdio(attachment.connect({ host, port, allowHalfOpen: true }), streams);
  const bytes = pattern(1_000_000);
  streams.input.end(bytes);
  const got = await readAll(streams.output);
  t.is(got.subarray(0, 7).toString(), 'banner ');
  t.true(got.subarray(7).equals(bytes));
  await joined;
});

test('the far end’s FIN ends stdout while stdin goes on', async t => {
  const { attachment } = await attachedLab(t);
  const heard: Promise<Buffer>[] = [];
  const { port } = await device(t, socket => {
    socket.end('all I have');
    heard.push(readAll(socket));
  });
  const streams = stdio();
  const joined = joinStdio(attachment.connect({ host, port, allowHalfOpen: true }), streams);
  t.is((await readAll(streams.output)).toString(), 'all I have');
  streams.input.end('one more thing');
  await joined;
  t.is(String(await heard[0]), 'one more thing');
});

test('a connection that is refused, or reset, is an error and no clean end', async t => {
  const { attachment } = await attachedLab(t);
  const refused = attachment.connect({ host, port: await freePort(), allowHalfOpen: true });
  await t.throwsAsync(joinStdio(refused, stdio()), { code: 'ECONNREFUSED' });
  const { port } = await device(t, socket => socket.once('data', () => socket.resetAndDestroy()));
  const streams = stdio();
  const reset = joinStdio(attachment.connect({ host, port, allowHalfOpen: true }), streams);
  streams.input.write('x');
  await t.throwsAsync(reset, { code: 'ECONNRESET' });
  t.false(streams.output.readableEnded);
});

test('when nobody reads stdout any more, the connection is reset', async t => {
  const { attachment } = await attachedLab(t);
  const sockets: Promise<unknown>[] = [];
  const { port } = await device(t, socket => {
    sockets.push(eventsUntilClose(socket, ['error']));
    socket.write('x');
    socket.resume();
  });
  const streams = stdio();
  const joined = joinStdio(attachment.connect({ host, port, allowHalfOpen: true }), streams);
  await once(streams.output, 'data');
  streams.output.destroy(new Error('EPIPE'));
  await t.throwsAsync(joined);
  await sockets[0];
});
