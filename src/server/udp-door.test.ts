import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { silentLog } from '../base/log.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { openUdpDoor, type UdpDoor } from './udp-door.ts';

async function client(t: ExecutionContext): Promise<Socket> {
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** A number that is free for UDP on loopback. */
async function freeNumber(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

for (const host of ['127.0.0.1', '::'])
  test(`at ${host}: a packet comes with its IPv4 sender in plain spelling, and one goes back there`, async t => {
    const number = await freeNumber();
    const came: { packet: Buffer; from: PacketPeer }[] = [];
    const doors: UdpDoor[] = [];
    const door = await openUdpDoor({
      host,
      number,
      log: silentLog(),
      onPacket(packet, from) {
        came.push({ packet, from });
        doors[0]?.send(Buffer.from('back'), from);
      },
    });
    if (door === undefined) return t.fail('no door');
    doors.push(door);
    t.teardown(() => door.close());
    const socket = await client(t);
    socket.send('there', number, '127.0.0.1');
    const [back] = (await once(socket, 'message')) as [Buffer];
    t.is(back.toString(), 'back');
    t.is(came[0]?.packet.toString(), 'there');
    t.deepEqual(came[0]?.from, { address: '127.0.0.1', number: socket.address().port });
  });

test('a number that is taken is no fault: there is no door', async t => {
  const number = await freeNumber();
  const options = { host: '127.0.0.1', number, log: silentLog(), onPacket: () => {} };
  const door = await openUdpDoor(options);
  t.teardown(() => door?.close());
  t.truthy(door);
  t.is(await openUdpDoor(options), undefined);
});

test('a packet that the kernel will not send is lost like any other', async t => {
  const number = await freeNumber();
  const came: Buffer[] = [];
  const door = await openUdpDoor({
    host: '127.0.0.1',
    number,
    log: silentLog(),
    onPacket: packet => came.push(packet),
  });
  if (door === undefined) return t.fail('no door');
  t.teardown(() => door.close());
  door.send(Buffer.alloc(70_000), { address: '127.0.0.1', number: 9 });
  door.send(Buffer.from('x'), { address: '2001:db8::1', number: 9 });
  const socket = await client(t);
  door.send(Buffer.from('still there'), { address: '127.0.0.1', number: socket.address().port });
  const [packet] = (await once(socket, 'message')) as [Buffer];
  t.is(packet.toString(), 'still there');
});
