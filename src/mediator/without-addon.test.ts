import dgram from 'node:dgram';
import { once } from 'node:events';
import test from 'ava';
import { until } from '../native/test-sockets.ts';
import { dialIn, pattern, readToEnd } from './testing/devices.ts';
import { attached, budgetsAreWhole, playing } from './testing/set-up.ts';

/** The mediator as it works where its addon is missing (docs/configuration.md). */

const reduced = { withoutAddon: true } as const;

test('without the addon: OPEN, CONNECT and the first bytes go in one flight, from the number that was told', async t => {
  const { rig, terminal } = await attached(t, reduced);
  const echo = await playing(t, socket => socket.pipe(socket));
  const open = terminal.open();
  const { stream, result } = terminal.connect({ portOf: 1 }, echo.number);
  stream.stream.send(Buffer.from('early'));
  await stream.got(5);
  t.is(stream.text, 'early');
  t.is((await result).code, 'ok');
  t.is((await echo.next()).remotePort, (await open).number);
  stream.stream.finish();
  await stream.heard('fin');
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('without the addon: a megabyte of a device that connects comes whole, and its FIN behind it', async t => {
  const { rig, terminal } = await attached(t, reduced);
  const opened = await terminal.open();
  t.is((await terminal.listen(opened.port ?? 0)).code, 'ok');
  const visitor = await dialIn(opened.number ?? 0);
  const bytes = pattern(1024 * 1024, 7);
  visitor.end(bytes);
  const connected = await terminal.event('connected');
  t.is(connected.peerNumber, visitor.localPort ?? 0);
  const stream = terminal.streams.get(connected.stream ?? 0);
  if (stream === undefined) return t.fail();
  await stream.got(bytes.length);
  await stream.heard('fin');
  stream.stream.send(Buffer.from('thanks'));
  stream.stream.finish();
  t.deepEqual(await readToEnd(visitor), { text: 'thanks', end: 'fin' });
  await until('budgets are whole', () => budgetsAreWhole(rig));
});

test('without the addon: a number that is taken is port-in-use, and a refused CONNECT leaves the port as it was', async t => {
  const { terminal } = await attached(t, reduced);
  const echo = await playing(t, socket => socket.pipe(socket));
  t.is((await terminal.open({ number: echo.number, choice: 'mandatory' })).code, 'port-in-use');
  const gone = await playing(t);
  gone.close();
  // Without the addon nothing holds a number before CONNECT: a program beside this one may have taken it.
  const connectFromNew = async () => {
    for (;;) {
      const { port = 0, number } = await terminal.open();
      const { code } = await terminal.connect({ port }, gone.number).result;
      if (code !== 'port-in-use') return { port, number, code };
    }
  };
  const { port, number, code } = await connectFromNew();
  t.is(code, 'refused');
  t.is((await terminal.connect({ port }, echo.number).result).code, 'ok');
  t.is((await echo.next()).remotePort, number);
});

test('without the addon: datagrams go both ways, and the number is held from OPEN on', async t => {
  const { terminal } = await attached(t, reduced);
  const device = dgram.createSocket('udp4');
  t.teardown(() => void device.close());
  device.on('message', (bytes, from) => device.send(bytes, from.port, from.address));
  device.bind(0, '127.0.0.1');
  await once(device, 'listening');
  const opened = await terminal.open({ protocol: 'udp' });
  const thief = dgram.createSocket('udp4');
  thief.bind({ port: opened.number ?? 0, address: '127.0.0.1', exclusive: true });
  t.like((await once(thief, 'error'))[0], { code: 'EADDRINUSE' });
  terminal.send(opened.port ?? 0, device.address().port, Buffer.from('ping'));
  await terminal.until(() => terminal.datagrams.length === 1);
  t.is(String(terminal.datagrams[0]?.bytes), 'ping');
  await terminal.close(opened.port ?? 0);
  const next = dgram.createSocket('udp4');
  t.teardown(() => void next.close());
  next.bind({ port: opened.number ?? 0, address: '127.0.0.1', exclusive: true });
  await once(next, 'listening');
});
