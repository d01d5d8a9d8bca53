import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { device, freePort, pattern, readAll } from '../testing/devices.ts';
import { eventually } from '../testing/eventually.ts';
import { attachedLab } from '../testing/lab.ts';
import { reasonOf } from '../tunnel-error.ts';
import { ConnectionGate } from './connection-gate.ts';
import { datagramPacket, type PacketEnds, readBeginning } from './ip-packet.ts';
import { type Fate, fate } from './packet-port.ts';

const host = '127.0.0.1';

/** A TCP segment without options: a datagram's packet with as many bytes behind its ports, and the other protocol. */
function syn(ends: PacketEnds): Buffer {
  const packet = datagramPacket(ends, Buffer.alloc(12));
  packet[9] = 6;
  return packet;
}

/** A gate whose mediator is a fake with real sockets on loopback, and what the gate gives back. */
async function gated(t: ExecutionContext) {
  const { attachment, server } = await attachedLab(t);
  const clock = fakeClock();
  const given: { readonly what: Fate; readonly ends: PacketEnds | undefined }[] = [];
  const refused: ErrorCode[] = [];
  const gate = new ConnectionGate({
    attachment: () => Promise.resolve(attachment),
    inject: (packet, what) => given.push({ what, ends: readBeginning(Buffer.from(packet))?.ends }),
    refused: (_target, error) => refused.push(reasonOf(error)),
    clock,
  });
  t.teardown(() => gate.close());
  /** The command's SYN from `sourcePort` to a device; gives what came back as soon as something has. */
  const begin = async (targetPort: number, sourcePort = 40_000) => {
    const before = given.length;
    const ends = { source: '192.0.2.1', sourcePort, target: host, targetPort };
    gate.onSyn(ends, syn(ends));
    await eventually('the SYN to come back', () => given.length > before);
    t.deepEqual(given[before]?.ends, ends);
    return given[before]?.what;
  };
  return { gate, given, refused, clock, begin, mediator: () => server.mediator };
}

/** Both ends of a connection that looks, at the accepted one, like the command's from `sourcePort` to `targetPort`. */
async function acceptedConnection(t: ExecutionContext, targetPort: number, sourcePort = 40_000) {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect({ host, port, allowHalfOpen: true });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  server.close();
  t.teardown(() => client.destroy());
  const looks = {
    remoteAddress: '::ffff:192.0.2.1',
    remotePort: sourcePort,
    localAddress: host,
    localPort: targetPort,
  };
  for (const [name, value] of Object.entries(looks)) Object.defineProperty(accepted, name, { value });
  return { client: client.on('error', () => {}), accepted };
}

/** Whether it ended by an error. */
const closed = (socket: Socket) => new Promise<boolean>(resolve => socket.once('close', resolve));

test('a SYN comes back when the device has accepted, and the connection is joined with the device’s', async t => {
  const { gate, begin, refused } = await gated(t);
  const { port } = await device(t, async socket => socket.end(await readAll(socket)));
  t.is(await begin(port), fate.admit);
  const { client, accepted } = await acceptedConnection(t, port);
  gate.onAccepted(accepted);
  const bytes = pattern(1024 * 1024);
  client.end(bytes);
  t.true((await readAll(client)).equals(bytes));
  await gate.drained();
  t.deepEqual(refused, []);
});

test('a SYN comes back as what the mediator says', async t => {
  const { begin, refused, mediator } = await gated(t);
  t.is(await begin(await freePort()), fate.refuse);
  const rows: readonly (readonly [ErrorCode, Fate])[] = [
    ['not-permitted', fate.prohibit],
    ['outside-hours', fate.prohibit],
    ['timed-out', fate.unreachable],
    ['unreachable', fate.unreachable],
  ];
  for (const [code, expected] of rows) {
    mediator().refusals.set('connect', code);
    t.is(await begin(80), expected, code);
  }
  t.deepEqual(refused, ['refused', ...rows.map(([code]) => code)]);
});

test('a SYN that comes again asks nothing more; once admitted it is given back again', async t => {
  const { gate, given, begin, mediator } = await gated(t);
  const { port } = await device(t, () => {});
  const connects = () => mediator().commands.filter(({ verb }) => verb === 'connect').length;
  const ends = { source: '192.0.2.1', sourcePort: 40_000, target: host, targetPort: port };
  const first = begin(port);
  gate.onSyn(ends, syn(ends));
  t.is(await first, fate.admit);
  t.deepEqual([connects(), given.length], [1, 1]);
  gate.onSyn(ends, syn(ends));
  t.deepEqual([connects(), given.map(({ what }) => what)], [1, [fate.admit, fate.admit]]);
});

test('connections of two sockets to one target are kept apart', async t => {
  const { gate, begin } = await gated(t);
  const asked: string[] = [];
  const { port } = await device(t, socket => socket.once('data', bytes => asked.push(String(bytes))));
  t.is(await begin(port, 40_001), fate.admit);
  t.is(await begin(port, 40_002), fate.admit);
  for (const sourcePort of [40_002, 40_001]) {
    const { client, accepted } = await acceptedConnection(t, port, sourcePort);
    gate.onAccepted(accepted);
    client.write(String(sourcePort));
    await eventually('the device to hear it', () => asked.includes(String(sourcePort)));
  }
  t.deepEqual(asked, ['40002', '40001']);
});

test('a connection that nobody has asked for is reset', async t => {
  const { gate } = await gated(t);
  const { client, accepted } = await acceptedConnection(t, 80);
  gate.onAccepted(accepted);
  client.resume();
  t.true(await closed(client));
});

test('who has given up meanwhile is not waited for: the device is told by RST', async t => {
  const { begin, clock } = await gated(t);
  const ends: string[] = [];
  const { port } = await device(t, socket => {
    socket.resume();
    socket.on('error', ({ message }) => ends.push(message)).on('end', () => ends.push('FIN'));
  });
  t.is(await begin(port), fate.admit);
  clock.advance(10_000);
  await eventually('the device to be told', () => ends.length > 0);
  t.regex(ends[0] ?? '', /ECONNRESET/);
});

test('once closed it ends what is open and asks for nothing', async t => {
  const { gate, given, begin } = await gated(t);
  const { port } = await device(t, socket => socket.resume());
  t.is(await begin(port), fate.admit);
  const { client, accepted } = await acceptedConnection(t, port);
  gate.onAccepted(accepted);
  gate.close();
  client.resume();
  await closed(client);
  const ends = { source: '192.0.2.1', sourcePort: 40_009, target: host, targetPort: port };
  gate.onSyn(ends, syn(ends));
  await gate.drained();
  t.is(given.length, 1);
});
