import test from 'ava';
import { until } from '../native/test-sockets.ts';
import { dialIn, readToEnd } from './testing/devices.ts';
import { attached, budgetsAreWhole, playing } from './testing/set-up.ts';

test('S10, S15: a listening port tells of each connection before its bytes', async t => {
  const { terminal } = await attached(t);
  const opened = await terminal.open();
  t.is((await terminal.listen(opened.port ?? 0)).code, 'ok');
  const visitor = await dialIn(opened.number ?? 0);
  visitor.write('hello');
  const connected = await terminal.event('connected');
  t.like(connected, {
    port: opened.port,
    direction: 'from-device',
    peerAddress: '127.0.0.1',
    peerNumber: visitor.localPort,
    localAddress: '127.0.0.1',
  });
  const stream = terminal.streams.get(connected.stream);
  if (stream === undefined) return t.fail();
  await stream.got(5);
  t.is(stream.text, 'hello');
  stream.stream.send(Buffer.from('welcome'));
  stream.stream.finish();
  t.deepEqual(await readToEnd(visitor), { text: 'welcome', end: 'fin' });
  visitor.end();
  await stream.heard('finished');
  const listing = await terminal.command({ verb: 'query', what: 'ports' });
  t.like(listing.ports?.[0], { state: 'server', streams: 0 });
});

test('many connections at once each become a stream of their own', async t => {
  const { terminal } = await attached(t);
  const opened = await terminal.open();
  await terminal.listen(opened.port ?? 0, { backlog: 100 });
  const visitors = await Promise.all(Array.from({ length: 40 }, () => dialIn(opened.number ?? 0)));
  for (const visitor of visitors) visitor.end(`I am ${visitor.localPort}`);
  await terminal.until(() => terminal.events.filter(({ kind }) => kind === 'connected').length === 40);
  for (const event of terminal.events) {
    if (event.kind !== 'connected') continue;
    const stream = terminal.streams.get(event.stream);
    await stream?.heard('fin');
    t.is(stream?.text, `I am ${event.peerNumber}`);
    stream?.stream.finish();
  }
});

test('P5.4: CLOSE resets the streams of the port, or lets them end, and frees the number', async t => {
  const { terminal } = await attached(t);
  const opened = await terminal.open();
  const port = opened.port ?? 0;
  await terminal.listen(port);
  const visitor = await dialIn(opened.number ?? 0);
  const event = await terminal.event('connected');
  t.is((await terminal.close(port, 'drain')).code, 'ok');
  await t.throwsAsync(dialIn(opened.number ?? 0), { code: 'ECONNREFUSED' });
  const stream = terminal.streams.get(event.stream);
  visitor.write('goes on');
  await stream?.got(7);
  t.is((await terminal.listen(port)).code, 'wrong-state');
  const end = readToEnd(visitor);
  t.is((await terminal.close(port, 'reset')).code, 'ok');
  await stream?.heard('reset port-closed');
  t.is((await end).end, 'ECONNRESET');
  const again = await terminal.open({ number: opened.number ?? 0, choice: 'mandatory' });
  t.is(again.code, 'ok');
  t.not(again.port, port);
});

test('P5.4: a drained port closes with its last stream', async t => {
  const { terminal } = await attached(t);
  const opened = await terminal.open();
  const port = opened.port ?? 0;
  await terminal.listen(port);
  const visitor = await dialIn(opened.number ?? 0);
  const event = await terminal.event('connected');
  await terminal.close(port, 'drain');
  visitor.end();
  const stream = terminal.streams.get(event.stream);
  await stream?.heard('fin');
  stream?.stream.finish();
  await stream?.heard('finished');
  t.deepEqual((await terminal.command({ verb: 'query', what: 'ports' })).ports, []);
});

test('P3.3: without a floor in the budgets CONNECT is `limit`, and a listener lets connections wait', async t => {
  const { rig, terminal } = await attached(t, { receiveBudgetBytes: 8192, replayBudgetBytes: 65_536 });
  const played = await playing(t, socket => socket.pipe(socket));
  const first = await terminal.connected(played.number);
  const second = await terminal.connected(played.number);
  const opened = await terminal.open();
  const third = terminal.connect({ port: opened.port ?? 0 }, played.number);
  t.is((await third.result).code, 'limit');
  await terminal.listen(opened.port ?? 0);
  const visitor = await dialIn(opened.number ?? 0);
  visitor.write('waiting');
  await terminal.command({ verb: 'query', what: 'limits' });
  t.is(terminal.events.filter(({ kind }) => kind === 'connected').length, 0);
  first.stream.stream.abort('aborted');
  const event = await terminal.event('connected');
  await terminal.streams.get(event.stream)?.got(7);
  second.stream.stream.abort('aborted');
  visitor.resetAndDestroy();
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('more connections than the backlog are turned away with RST', async t => {
  const { terminal } = await attached(t, { receiveBudgetBytes: 4096 });
  const played = await playing(t);
  await terminal.connected(played.number);
  const opened = await terminal.open();
  await terminal.listen(opened.port ?? 0, { backlog: 1 });
  await dialIn(opened.number ?? 0);
  // Whether the RST comes before or behind the kernel's word that it is connected is for the kernel to say.
  const turnedAway = dialIn(opened.number ?? 0).then(readToEnd);
  const end = await turnedAway.then(({ end: code }) => code).catch(({ code }) => code);
  t.is(end, 'ECONNRESET');
});
