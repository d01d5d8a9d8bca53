import dgram, { type Socket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { type FakeClock, fakeClock } from '../base/clock.ts';
import { until } from '../native/test-sockets.ts';
import { parseOwnerPolicy } from '../policy/owner-policy.ts';
import { pattern } from './testing/devices.ts';
import { ownerTable } from './testing/rig.ts';
import { attached, playing } from './testing/set-up.ts';

/** A UDP device; `echo` sends everything back. */
async function udpDevice(t: ExecutionContext, echo: boolean, host = '127.0.0.1'): Promise<Socket> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
  t.teardown(() => socket.close());
  if (echo) socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(0, host);
  await once(socket, 'listening');
  return socket;
}

const udp = { protocol: 'udp' } as const;

test('S12, S13: datagrams go to a device and come back with its address and number', async t => {
  const { terminal } = await attached(t);
  const echo = await udpDevice(t, true);
  const opened = await terminal.open(udp);
  terminal.send(opened.port ?? 0, echo.address().port, Buffer.from('ping'));
  await terminal.until(() => terminal.datagrams.length === 1);
  t.like(terminal.datagrams[0], {
    port: opened.port,
    peerAddress: '127.0.0.1',
    peerNumber: echo.address().port,
  });
  t.is(terminal.datagrams[0]?.bytes.toString(), 'ping');
});

test('datagrams of 0 to 65,507 bytes cross whole, both ways', async t => {
  const { terminal } = await attached(t);
  const echo = await udpDevice(t, true);
  const opened = await terminal.open(udp);
  const sizes = [0, 1, 1472, 16_372, 16_373, 65_507];
  for (const [index, size] of sizes.entries()) {
    const bytes = pattern(size, index + 1);
    terminal.send(opened.port ?? 0, echo.address().port, bytes);
    await terminal.until(() => terminal.datagrams.length === index + 1);
    t.true(terminal.datagrams[index]?.bytes.equals(bytes), `${size} bytes`);
  }
});

test('UDP over IPv6', async t => {
  const { terminal } = await attached(t);
  const echo = await udpDevice(t, true, '::1');
  const opened = await terminal.open({ ...udp, address: '::1' });
  t.is(opened.address, '::1');
  terminal.send(opened.port ?? 0, echo.address().port, Buffer.from('six'), '::1');
  await terminal.until(() => terminal.datagrams.length === 1);
  t.is(terminal.datagrams[0]?.peerAddress, '::1');
});

test('P5.9: the first datagram to a destination leaves one audit line, those that follow none', async t => {
  const { terminal, rig } = await attached(t);
  const echo = await udpDevice(t, true);
  const opened = await terminal.open(udp);
  for (let count = 1; count <= 5; count++) {
    terminal.send(opened.port ?? 0, echo.address().port, Buffer.from('x'));
    await terminal.until(() => terminal.datagrams.length === count);
  }
  const lines = rig.lines.filter(({ verb }) => verb === 'datagram');
  t.is(lines.length, 1);
  t.like(lines[0], { port: opened.port, address: '127.0.0.1', number: echo.address().port });
});

test('P5.9: what the grant does not name gets nothing, and one audit line; the gateway itself neither', async t => {
  const { terminal, rig } = await attached(t, {
    claims: { targets: { networks: ['127.0.0.1'], udp: ['1024-65535'] } },
  });
  const silent = await udpDevice(t, false);
  let heard = 0;
  silent.on('message', () => heard++);
  const { port } = silent.address();
  const opened = await terminal.open(udp);
  for (let count = 0; count < 10; count++) {
    terminal.send(opened.port ?? 0, port, Buffer.from('no'), '127.0.0.2');
    terminal.send(opened.port ?? 0, 0, Buffer.from('no'));
    terminal.send(opened.port ?? 0, port, Buffer.from('no'), '::1');
  }
  terminal.send(opened.port ?? 0, port, Buffer.from('yes'));
  await until('the allowed one has come', () => heard === 1);
  const lines = rig.lines.filter(({ verb }) => verb === 'datagram');
  t.deepEqual(
    lines.map(({ address, decision }) => [address, decision]),
    [
      ['127.0.0.2', 'denied'],
      ['127.0.0.1', 'allowed'],
    ],
  );
});

test('P5.9: a datagram from the LAN is relayed and approves nobody', async t => {
  const { terminal, rig } = await attached(t, { claims: { targets: {} } });
  const visitor = await udpDevice(t, false);
  let heard = 0;
  visitor.on('message', () => heard++);
  const opened = await terminal.open(udp);
  visitor.send('knock', opened.number ?? 0, '127.0.0.1');
  await terminal.until(() => terminal.datagrams.length === 1);
  t.is(terminal.datagrams[0]?.peerNumber, visitor.address().port);
  terminal.send(opened.port ?? 0, visitor.address().port, Buffer.from('answer'));
  await until('it was asked about', () => rig.lines.some(({ verb }) => verb === 'datagram'));
  t.is(rig.lines.find(({ verb }) => verb === 'datagram')?.decision, 'denied');
  t.is(heard, 0);
});

test('P5.9: over 100 new destinations a second are dropped, counted and told by EVENT limit', async t => {
  const clock: FakeClock = fakeClock();
  const { terminal, rig } = await attached(t, { clock });
  const opened = await terminal.open(udp);
  const port = opened.port ?? 0;
  for (let number = 20_000; number < 20_150; number++) terminal.send(port, number, Buffer.from('x'));
  const first = await terminal.event('limit');
  t.is(first.port, port);
  const approved = () => rig.lines.filter(({ verb }) => verb === 'datagram').length;
  t.is(approved(), 100);
  const barrier = await terminal.command({ verb: 'query', what: 'ports' });
  t.is(barrier.code, 'ok');
  clock.advance(1000);
  const second = await terminal.event('limit', 1);
  t.is(first.count + second.count, 50);
  terminal.send(port, 20_149, Buffer.from('x'));
  await until('there is room again', () => approved() === 101);
});

test('P5.9: an idle destination is asked about again after 5 min', async t => {
  const clock = fakeClock();
  const { terminal, rig } = await attached(t, { clock });
  const echo = await udpDevice(t, true);
  const opened = await terminal.open(udp);
  const exchange = async (count: number) => {
    terminal.send(opened.port ?? 0, echo.address().port, Buffer.from('x'));
    await terminal.until(() => terminal.datagrams.length === count);
    return rig.lines.filter(({ verb }) => verb === 'datagram').length;
  };
  t.is(await exchange(1), 1);
  clock.advance(5 * 60_000 - 1);
  t.is(await exchange(2), 1);
  clock.advance(5 * 60_000);
  t.is(await exchange(3), 2);
});

test('P5.9: a change of the owner empties the table at once', async t => {
  const { terminal, rig } = await attached(t);
  const echo = await udpDevice(t, true);
  const opened = await terminal.open(udp);
  terminal.send(opened.port ?? 0, echo.address().port, Buffer.from('x'));
  await terminal.until(() => terminal.datagrams.length === 1);
  rig.basis.owner = parseOwnerPolicy({ ...ownerTable, targets: { networks: ['lan'] } }, 'test');
  rig.agent.reauthorise();
  terminal.send(opened.port ?? 0, echo.address().port, Buffer.from('x'));
  await until('it is refused', () => rig.lines.at(-1)?.decision === 'denied');
  t.is(rig.lines.at(-1)?.by, 'owner');
});

test('without an audit line no datagram goes, and with one again it does', async t => {
  const { terminal, rig } = await attached(t);
  const echo = await udpDevice(t, true);
  const opened = await terminal.open(udp);
  const port = opened.port ?? 0;
  rig.auditFault.failing = true;
  terminal.send(port, echo.address().port, Buffer.from('lost'));
  const refused = await terminal.command({ verb: 'query', what: 'ports' });
  t.is(refused.code, 'audit-unavailable');
  rig.auditFault.failing = false;
  terminal.send(port, echo.address().port, Buffer.from('found'));
  await terminal.until(() => terminal.datagrams.length > 0);
  t.is(terminal.datagrams[0]?.bytes.toString(), 'found');
});

test('P5.1: UDP on a wildcard needs grant and owner to name it', async t => {
  const { terminal, rig } = await attached(t, {
    owner: { ...ownerTable, ports: { addresses: ['loopback'] } },
  });
  const refused = await terminal.command({ verb: 'open', protocol: 'udp', number: 0, choice: 'any' });
  t.is(refused.code, 'not-permitted');
  t.is(refused.by, 'owner');
  t.regex(refused.message ?? '', /owner\.ports\.addresses .*wildcard/);
  rig.basis.owner = parseOwnerPolicy(ownerTable, 'test');
  const opened = await terminal.command({ verb: 'open', protocol: 'udp', number: 0, choice: 'any' });
  t.deepEqual([opened.code, opened.address], ['ok', '0.0.0.0']);
});

test('datagrams never make a stream wait', async t => {
  const { terminal } = await attached(t);
  const sink = await udpDevice(t, false);
  const echo = await playing(t, socket => socket.pipe(socket));
  const opened = await terminal.open(udp);
  const { stream } = await terminal.connected(echo.number);
  const large = pattern(60_000);
  for (let count = 0; count < 200; count++) terminal.send(opened.port ?? 0, sink.address().port, large);
  stream.stream.send(Buffer.from('through'));
  await stream.got(7);
  t.is(stream.text, 'through');
});

test('CLOSE frees a UDP number; datagrams for it are dropped', async t => {
  const { terminal } = await attached(t);
  const opened = await terminal.open(udp);
  t.is((await terminal.close(opened.port ?? 0)).code, 'ok');
  terminal.send(opened.port ?? 0, 9, Buffer.from('nobody'));
  const again = await terminal.open({ ...udp, number: opened.number ?? 0, choice: 'mandatory' });
  t.deepEqual([again.code, again.number], ['ok', opened.number]);
});
