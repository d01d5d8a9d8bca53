import test from 'ava';
import { until } from '../native/test-sockets.ts';
import { dialIn, pattern, readToEnd } from './testing/devices.ts';
import { attached, budgetsAreWhole, playing } from './testing/set-up.ts';

test('S9, S12: bytes go through a client port and come back', async t => {
  const { terminal } = await attached(t);
  const echo = await playing(t, socket => socket.pipe(socket));
  const { stream, localNumber } = await terminal.connected(echo.number);
  stream.stream.send(Buffer.from('question'));
  await stream.got(8);
  t.is(stream.text, 'question');
  t.is(echo.sockets[0]?.remotePort, localNumber);
});

test('a FIN that came before the connection was there follows the early bytes', async t => {
  const { terminal } = await attached(t);
  const silent = await playing(t);
  const opened = await terminal.open();
  const { stream } = terminal.connect({ port: opened.port ?? 0 }, silent.number);
  stream.stream.send(Buffer.from('all of it'));
  stream.stream.finish();
  t.deepEqual(await readToEnd(await silent.next()), { text: 'all of it', end: 'fin' });
});

test('P3.5: half-close is kept in both directions, and a port whose stream is forgotten is gone', async t => {
  const { rig, terminal } = await attached(t);
  const played = await playing(t);
  const { stream, port } = await terminal.connected(played.number);
  const socket = await played.next();
  stream.stream.send(Buffer.from('last of the terminal'));
  stream.stream.finish();
  t.deepEqual(await readToEnd(socket), { text: 'last of the terminal', end: 'fin' });
  socket.write('still here');
  await stream.got(10);
  t.deepEqual(stream.told, []);
  socket.end();
  await stream.heard('finished');
  t.deepEqual(stream.told, ['fin', 'finished']);
  t.is((await terminal.close(port)).code, 'no-such-port');
  await until('budgets are whole', () => budgetsAreWhole(rig));
  t.deepEqual(
    terminal.events.map(event => ('direction' in event ? `${event.kind} ${event.direction}` : event.kind)),
    ['fin to-device', 'fin from-device'],
  );
});

test('S16: fin and rst carry direction, port, stream and offset', async t => {
  const { terminal } = await attached(t);
  const played = await playing(t);
  const before = Date.now();
  const first = await terminal.connected(played.number);
  const socket = await played.next();
  socket.write('12345');
  await first.stream.got(5);
  socket.end();
  const fin = await terminal.event('fin');
  t.like(fin, {
    direction: 'from-device',
    port: first.port,
    stream: first.stream.stream.id,
    offset: 5,
  });
  t.true(fin.timeMs >= before && fin.timeMs <= Date.now());
  first.stream.stream.send(Buffer.from('123'));
  await until('the device has them', () => socket.bytesRead === 3);
  first.stream.stream.abort('aborted');
  t.like(await terminal.event('rst'), { direction: 'to-device', offset: 3 });
});

test('P3.5: a RESET is a real RST for the device', async t => {
  const { rig, terminal } = await attached(t);
  const played = await playing(t);
  const { stream } = await terminal.connected(played.number);
  const end = readToEnd(await played.next());
  stream.stream.abort('aborted');
  t.is((await end).end, 'ECONNRESET');
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('P3.5: the bytes before a RESET reach the device', async t => {
  const { terminal } = await attached(t);
  const played = await playing(t);
  const { stream } = await terminal.connected(played.number);
  const bytes = pattern(30_000);
  const end = readToEnd(await played.next());
  stream.stream.send(bytes);
  stream.stream.abortAfterData('aborted');
  // Node up to 22 may take the RST for a FIN, which is its affair.
  t.is((await end).text, bytes.toString('latin1'));
});

test('P3.5: a device that does not read holds up its RST for a second only', async t => {
  const { terminal } = await attached(t);
  const played = await playing(t, socket => socket.pause());
  const { stream } = await terminal.connected(played.number);
  while (stream.stream.roomBytes > 0) stream.stream.send(Buffer.alloc(stream.stream.roomBytes));
  stream.stream.abort('aborted');
  t.like(await terminal.event('rst'), { direction: 'to-device' });
});

test('P3.5: a RST is a RESET, behind all bytes that came before it', async t => {
  const { terminal } = await attached(t);
  const bytes = pattern(300_000);
  const played = await playing(t, socket => {
    socket.once('data', () => socket.write(bytes, () => socket.resetAndDestroy()));
  });
  const { stream } = await terminal.connected(played.number);
  stream.stream.send(Buffer.from('go'));
  await stream.heard('reset peer-reset');
  t.is(Buffer.concat(stream.pieces).compare(bytes.subarray(0, stream.length)), 0);
  const rst = await terminal.event('rst');
  t.deepEqual([rst.direction, rst.offset], ['from-device', stream.length]);
});

test('P3.5: a device that dies behind bytes nobody has read yet: they arrive, then the RESET, never a FIN', async t => {
  const { terminal } = await attached(t);
  const bytes = pattern(200_000);
  const played = await playing(t);
  const { stream } = await terminal.connected(played.number);
  stream.holding = true;
  const socket = await played.next();
  await new Promise(resolve => socket.write(bytes, resolve));
  await stream.until(() => stream.length >= 16_384);
  socket.resetAndDestroy();
  await terminal.event('rst');
  t.deepEqual(stream.told, []);
  stream.release();
  await stream.heard('reset peer-reset');
  t.deepEqual(stream.told, ['reset peer-reset']);
  t.is(Buffer.concat(stream.pieces).compare(bytes.subarray(0, stream.length)), 0);
});

test('bulk both ways at once arrives whole', async t => {
  const { rig, terminal } = await attached(t);
  const down = pattern(3_000_000, 2);
  const up = pattern(2_500_000, 3);
  const received: Buffer[] = [];
  const played = await playing(t, socket => {
    socket.on('data', piece => received.push(piece));
    socket.end(down);
  });
  const { stream } = await terminal.connected(played.number);
  await Promise.all([stream.sendAll(up), stream.heard('fin')]);
  stream.stream.finish();
  await stream.heard('finished');
  t.true(Buffer.concat(stream.pieces).equals(down));
  t.true(Buffer.concat(received).equals(up));
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('P3.2: a terminal that stops reading stops the device, within the budgets, and others go on', async t => {
  const { rig, terminal } = await attached(t);
  const flooding = await playing(t, socket => {
    const more = () => {
      while (socket.write(Buffer.alloc(65_536))) {}
    };
    socket.on('drain', more);
    more();
  });
  const echo = await playing(t, socket => socket.pipe(socket));
  const { stream } = await terminal.connected(flooding.number);
  stream.holding = true;
  await stream.got(16_384);
  const other = await terminal.connected(echo.number);
  other.stream.stream.send(Buffer.from('still'));
  await other.stream.got(5);
  t.true(stream.length <= 1024 * 1024);
  const { replay } = rig.agent.budgets;
  t.true(replay.freeBytes >= 0);
  t.true((flooding.sockets[0]?.writableLength ?? 0) > 0);
});

test('P4.6: when the label goes, LAN connections end with RST and ports close, never with FIN', async t => {
  const { rig, terminal } = await attached(t);
  const played = await playing(t);
  await terminal.connected(played.number);
  const listening = await terminal.open();
  await terminal.listen(listening.port ?? 0);
  const end = readToEnd(await played.next());
  rig.server.unroute(terminal.label, 20);
  t.is((await end).end, 'ECONNRESET');
  await until('the number is free', () => rig.agent.attachedCount === 0);
  await t.throwsAsync(dialIn(listening.number ?? 0), { code: 'ECONNREFUSED' });
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('P4.6: when the link goes, LAN connections end with RST', async t => {
  const { rig, terminal } = await attached(t);
  const played = await playing(t);
  await terminal.connected(played.number);
  const end = readToEnd(await played.next());
  rig.link.driver.close('shutting-down');
  t.is((await end).end, 'ECONNRESET');
  await until('detached', () => rig.agent.attachedCount === 0);
});
