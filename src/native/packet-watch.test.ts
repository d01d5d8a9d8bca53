import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import process from 'node:process';
import test from 'ava';
import { requireAddon } from './addon.ts';
import { until } from './test-sockets.ts';

/** On the loopback interface of this machine, where a watch is a bystander: it sees what these tests send, among the rest. */

const native = requireAddon();
const probe = native.openRawIp(true);
if (typeof probe === 'number') native.close(probe);
const cannot = process.getuid?.() !== 0 || typeof probe === 'string';
const privileged = cannot ? test.skip : test;

interface Seen {
  readonly packet: Buffer;
  readonly segmentBytes: number;
}

function watch(t: { teardown(undo: () => unknown): void }): Seen[] {
  const seen: Seen[] = [];
  const watching = native.watchPackets('lo', (packet, segmentBytes) => seen.push({ packet, segmentBytes }));
  if (typeof watching === 'string') throw new Error(watching);
  t.teardown(() => native.closeWatch(watching));
  return seen;
}

/** A datagram of IPv6 from ::1 to ::1, without checksum, which UDP over IPv6 wants. */
function datagram(from: number, to: number, payload: string): Buffer {
  const packet = Buffer.alloc(48 + payload.length);
  packet[0] = 0x60;
  packet.writeUInt16BE(8 + payload.length, 4);
  packet[6] = 17;
  packet[7] = 64;
  packet[23] = 1;
  packet[39] = 1;
  packet.writeUInt16BE(from, 40);
  packet.writeUInt16BE(to, 42);
  packet.writeUInt16BE(8 + payload.length, 44);
  packet.write(payload, 48);
  return packet;
}

privileged('a datagram is seen whole, once, with its IP header first', async t => {
  const seen = watch(t);
  const socket = createSocket('udp6').bind(0, '::1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  const text = `seen ${process.pid}`;
  socket.send(text, socket.address().port, '::1');
  await once(socket, 'message');
  const own = () => seen.filter(({ packet }) => packet.includes(text));
  await until('it to be seen', () => own().length > 0);
  const [found] = own();
  t.is(own().length, 1);
  t.is((found?.packet[0] ?? 0) >> 4, 6);
  t.is(found?.packet.length, 48 + text.length);
  t.is(found?.segmentBytes, 0);
});

privileged('of a TCP connection the SYN is seen, and nothing else', async t => {
  const seen = watch(t);
  const server = net.createServer(socket => socket.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect(port, '127.0.0.1');
  client.resume();
  await once(client, 'close');
  const own = () => seen.filter(({ packet }) => packet[9] === 6 && packet.readUInt16BE(22) === port);
  await until('it to be seen', () => own().length > 0);
  t.deepEqual(
    own().map(({ packet }) => packet[33]),
    [2],
  );
});

privileged('a packet that is given back arrives, and its mark keeps it from being seen again', async t => {
  const seen = watch(t);
  const socket = createSocket('udp6').bind(0, '::1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  const raw = native.openRawIp(true);
  if (typeof raw === 'string') throw new Error(raw);
  t.teardown(() => native.close(raw));
  const text = `given ${process.pid}`;
  const packet = datagram(4711, socket.address().port, text);
  // The sum of RFC 1071 over pseudo-header and datagram.
  const body = packet.subarray(40);
  const words = [...body, ...(body.length % 2 === 1 ? [0] : [])];
  let sum = 2 + body.length + 17;
  for (let at = 0; at < words.length; at += 2) sum += ((words[at] ?? 0) << 8) | (words[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  body.writeUInt16BE(~sum & 0xffff, 6);
  const arrived = once(socket, 'message');
  t.is(native.sendMarked(raw, 1, packet), undefined);
  const [message, from] = (await arrived) as [Buffer, { port: number }];
  t.deepEqual([message.toString(), from.port], [text, 4711]);
  socket.send('behind it', socket.address().port, '::1');
  await until('the next to be seen', () => seen.some(({ packet: other }) => other.includes('behind it')));
  t.false(seen.some(({ packet: other }) => other.includes(text)));
});

privileged('what is no IP packet is not sent, and an interface that is not there is not watched', t => {
  const raw = native.openRawIp(false);
  if (typeof raw === 'string') throw new Error(raw);
  t.is(native.sendMarked(raw, 1, Buffer.alloc(0)), 'EINVAL');
  t.is(native.sendMarked(raw, 1, Buffer.alloc(19, 0x45)), 'EINVAL');
  t.is(native.sendMarked(raw, 1, Buffer.alloc(40, 0x30)), 'EINVAL');
  native.close(raw);
  t.is(
    native.watchPackets('nowhere0', () => {}),
    'ENODEV',
  );
});

privileged('a listener is made transparent', t => {
  const held = native.reserveTcp('127.0.0.1', 0);
  if (typeof held === 'string') throw new Error(held);
  t.is(native.setTransparent(held.fd), undefined);
  native.close(held.fd);
});
