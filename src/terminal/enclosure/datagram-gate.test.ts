import dgram, { type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { fakeClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { eventually } from '../testing/eventually.ts';
import { attachedLab } from '../testing/lab.ts';
import { reasonOf } from '../tunnel-error.ts';
import { DatagramGate } from './datagram-gate.ts';
import { type Beginning, type PacketEnds, readBeginning } from './ip-packet.ts';
import { type Fate, fate } from './packet-port.ts';

const host = '127.0.0.1';

interface Given {
  readonly what: Fate;
  readonly beginning: Beginning | undefined;
}

/** A gate whose mediator is a fake with real sockets on loopback, and what the gate gives back. */
async function gated(t: ExecutionContext) {
  const { attachment, server } = await attachedLab(t);
  const clock = fakeClock();
  const given: Given[] = [];
  const refused: ErrorCode[] = [];
  const gate = new DatagramGate({
    attachment: () => Promise.resolve(attachment),
    report: () => undefined,
    inject: (packet, what) => given.push({ what, beginning: readBeginning(Buffer.from(packet)) }),
    refused: (_target, error) => refused.push(reasonOf(error)),
    clock,
  });
  t.teardown(() => gate.close());
  const commands = (verb: string) => server.mediator.commands.filter(each => each.verb === verb).length;
  return { gate, given, refused, clock, commands, mediator: () => server.mediator };
}

/** A device that answers with what it was sent, and says from where. */
async function echo(
  t: ExecutionContext,
): Promise<{ readonly port: number; readonly from: RemoteInfo[]; readonly socket: Socket }> {
  const socket = dgram.createSocket('udp4').bind(0, host);
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  const from: RemoteInfo[] = [];
  socket.on('message', (bytes, sender) => {
    from.push(sender);
    socket.send(bytes, sender.port, sender.address);
  });
  return { port: socket.address().port, from, socket };
}

const endsTo = (targetPort: number, sourcePort = 40_000): PacketEnds => ({
  source: '192.0.2.1',
  sourcePort,
  target: host,
  targetPort,
});

test('a datagram goes to the device and its answer to the socket that has asked', async t => {
  const { gate, given } = await gated(t);
  const { port } = await echo(t);
  gate.onDatagram(endsTo(port), Buffer.from('hello'));
  await eventually('the answer', () => given.length > 0);
  const ends = { source: host, sourcePort: port, target: '192.0.2.1', targetPort: 40_000 };
  t.deepEqual(given, [
    { what: fate.pass, beginning: { kind: 'datagram', ends, payload: Buffer.from('hello') } },
  ]);
});

test('each socket has a port of its own, and keeps it', async t => {
  const { gate, given, commands } = await gated(t);
  const { port, from } = await echo(t);
  for (const sourcePort of [40_001, 40_002, 40_001])
    gate.onDatagram(endsTo(port, sourcePort), Buffer.from(String(sourcePort)));
  await eventually('three answers', () => given.length === 3);
  t.is(commands('open'), 2);
  t.is(new Set(from.map(sender => sender.port)).size, 2);
  for (const { beginning } of given)
    if (beginning?.kind === 'datagram') t.is(String(beginning.payload), String(beginning.ends.targetPort));
});

test('a port that is not opened is told as an error of that destination', async t => {
  const { gate, given, refused, mediator } = await gated(t);
  for (const [code, expected] of [
    ['not-permitted', fate.prohibit],
    ['limit', fate.unreachable],
  ] as const) {
    mediator().refusals.set('open', code);
    gate.onDatagram(endsTo(9), Buffer.from('anybody?'));
    await eventually(code, () => refused.includes(code));
    t.deepEqual([given.at(-1)?.what, given.at(-1)?.beginning?.ends], [expected, endsTo(9)]);
  }
});

test('a socket that is silent both ways for 120 s loses its port; whoever hears something does not', async t => {
  const { gate, given, clock, commands } = await gated(t);
  const { port, from, socket } = await echo(t);
  gate.onDatagram(endsTo(port), Buffer.from('first'));
  await eventually('the answer', () => given.length === 1);
  clock.advance(100_000);
  socket.send('news', from[0]?.port ?? 0, host);
  await eventually('the news', () => given.length === 2);
  clock.advance(100_000);
  t.is(commands('close'), 0);
  clock.advance(20_000);
  await eventually('the port to be closed', () => commands('close') === 1);
});

test('one socket more than there may be takes the place of the one that was silent longest', async t => {
  const { gate, given, commands } = await gated(t);
  const { port } = await echo(t);
  for (let index = 0; index < 257; index++) {
    gate.onDatagram(endsTo(port, 30_000 + index), Buffer.from('x'));
    await eventually('the answer', () => given.length === index + 1);
  }
  await eventually('a port to be closed', () => commands('close') === 1);
  gate.onDatagram(endsTo(port, 30_001), Buffer.from('x'));
  await eventually('the answer', () => given.length === 258);
  t.is(commands('open'), 257);
});

test('once all is sent it is drained, and once closed it sends nothing', async t => {
  const { gate, given, commands } = await gated(t);
  const { port } = await echo(t);
  gate.onDatagram(endsTo(port), Buffer.from('last'));
  await gate.drained();
  await eventually('the answer', () => given.length === 1);
  gate.close();
  gate.onDatagram(endsTo(port, 40_007), Buffer.from('too late'));
  await gate.drained();
  t.is(commands('open'), 1);
});
