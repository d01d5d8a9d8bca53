import { once } from 'node:events';
import test from 'ava';
import { device, freePort } from './testing/devices.ts';
import { attachedLab } from './testing/lab.ts';

const host = '127.0.0.1';

test('OPEN gives a port; CONNECT uses it; after a failure it can be used again; CLOSE gives it back', async t => {
  const { attachment } = await attachedLab(t);
  const port = await attachment.open({ protocol: 'tcp', number: 8000, choice: 'mandatory' });
  t.is(port.number, 8000);
  t.is(port.state, 'opened');
  const refused = port.connect({ host, port: await freePort() });
  t.is(port.state, 'client');
  t.like((await once(refused, 'error'))[0], { code: 'ECONNREFUSED' });
  t.is(port.state, 'opened');
  const { port: number } = await device(t, socket => socket.end('yes'));
  const socket = port.connect({ host, port: number });
  t.is(String((await once(socket, 'data'))[0]), 'yes');
  t.is(socket.localPort, 8000);
  socket.end();
  await port.close();
  t.is(port.state, 'closed');
  await t.throwsAsync(port.close(), { code: 'no-such-port' });
});

test('QUERY: ports page by page, names resolved there, events of other attachments', async t => {
  const { attachment } = await attachedLab(t);
  for (const number of [8001, 8002, 8003]) await attachment.open({ protocol: 'tcp', number });
  t.deepEqual(
    (await attachment.ports()).map(({ number }) => number),
    [8001, 8002, 8003],
  );
  t.deepEqual(await attachment.resolve('device.lan'), [host]);
  await t.throwsAsync(attachment.resolve('nowhere.lan'), { code: 'ENOTFOUND' });
  await t.notThrowsAsync(attachment.watchEvents());
});

test('an event of another attachment makes no stream here', async t => {
  const { attachment, server } = await attachedLab(t);
  await attachment.ports();
  const seen = once(attachment, 'event');
  server.mediator.session.sendEvent({
    kind: 'connected',
    port: 7,
    timeMs: 1,
    direction: 'from-device',
    attachment: Buffer.alloc(16, 1),
    peerAddress: host,
    peerNumber: 5,
    stream: 2,
    localAddress: host,
    limit: 0,
  });
  t.like((await seen)[0], { kind: 'connected', port: 7 });
  await attachment.ports();
  t.is(server.mediator.session.droppedFrames, 0);
});

test('REDIRECT answers unsupported by a mediator without relay', async t => {
  const { attachment } = await attachedLab(t);
  await t.throwsAsync(attachment.redirect({ address: host, number: 5060 }), { code: 'unsupported' });
});

test('events() follows until the attachment is over', async t => {
  const { attachment, server } = await attachedLab(t);
  const { port } = await device(t, socket => socket.end('x'));
  const kinds: string[] = [];
  const following = (async () => {
    for await (const { kind } of attachment.events()) kinds.push(kind);
  })();
  const socket = attachment.connect({ host, port });
  socket.resume();
  await once(socket, 'close');
  server.unroute('mediator-restarted');
  await following;
  t.deepEqual(kinds, ['fin']);
  t.true(attachment.closed);
});

test('detach tells the server, fails what waits, and is told once', async t => {
  const { attachment, server } = await attachedLab(t);
  server.mediator.silent.add('open');
  const opening = attachment.open({ protocol: 'tcp' });
  const ends: unknown[] = [];
  attachment.on('closed', end => ends.push(end));
  attachment.detach();
  attachment.detach();
  await t.throwsAsync(opening, { code: 'ECONNRESET', message: /ended/ });
  await t.throwsAsync(attachment.ports(), { code: 'ECONNRESET' });
  t.is(ends.length, 1);
  t.like(ends[0], { reason: 'detached' });
});

test('an aborted command rejects at once, and what it made after all is closed', async t => {
  const { attachment, server } = await attachedLab(t);
  await attachment.ports();
  const controller = new AbortController();
  const opening = attachment.open({ protocol: 'tcp', signal: controller.signal });
  controller.abort();
  await t.throwsAsync(opening, { name: 'AbortError' });
  await attachment.ports();
  t.deepEqual(await attachment.ports(), []);
  t.true(server.mediator.commands.some(({ verb }) => verb === 'close'));
  await t.throwsAsync(attachment.open({ protocol: 'tcp', signal: AbortSignal.abort() }), {
    name: 'AbortError',
  });
});

test('more commands at once than stream 0 holds are all answered, in order', async t => {
  const { attachment } = await attachedLab(t);
  const ports = await Promise.all(
    Array.from({ length: 700 }, (_, index) => attachment.open({ protocol: 'tcp', number: 10_000 + index })),
  );
  t.deepEqual(
    ports.map(({ number }) => number),
    Array.from({ length: 700 }, (_, index) => 10_000 + index),
  );
});
