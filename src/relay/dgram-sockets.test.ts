import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { until } from '../native/test-sockets.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { dgramSockets } from './dgram-sockets.ts';
import type { RelaySocket } from './relay-sockets.ts';

async function client(t: ExecutionContext): Promise<Socket> {
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

for (const host of ['127.0.0.1', '::'])
  test(`at ${host}: a packet comes with its IPv4 sender in plain spelling, and one goes back there`, async t => {
    const came: { packet: Buffer; from: PacketPeer }[] = [];
    const doors: RelaySocket[] = [];
    const door = await dgramSockets().serviceDoor(host, 0, (packet, from) => {
      came.push({ packet, from });
      doors[0]?.send(Buffer.from('back'), from, t.fail);
    });
    doors.push(door);
    t.teardown(() => door.close());
    const socket = await client(t);
    socket.send('there', door.number?.() ?? 0, '127.0.0.1');
    const [back] = (await once(socket, 'message')) as [Buffer];
    t.is(back.toString(), 'back');
    t.is(came[0]?.packet.toString(), 'there');
    t.deepEqual(came[0]?.from, { address: '127.0.0.1', number: socket.address().port });
  });

test('a number that is taken and an address that is not there say so', async t => {
  const door = await dgramSockets().serviceDoor('127.0.0.1', 0, () => {});
  t.teardown(() => door.close());
  const number = door.number?.() ?? 0;
  await t.throwsAsync(
    dgramSockets().serviceDoor('127.0.0.1', number, () => {}),
    { code: 'port-in-use' },
  );
  await t.throwsAsync(
    dgramSockets().serviceDoor('192.0.2.77', number, () => {}),
    {
      code: 'address-not-available',
    },
  );
});

test('a packet that the kernel will not send is lost like any other, and said', async t => {
  const door = await dgramSockets().serviceDoor('127.0.0.1', 0, () => {});
  t.teardown(() => door.close());
  const failed = (bytes: number, address: string) =>
    new Promise<void>(resolve => door.send(Buffer.alloc(bytes), { address, number: 9 }, resolve));
  await failed(70_000, '127.0.0.1');
  await failed(1, '2001:db8::1');
  const socket = await client(t);
  door.send(Buffer.from('still there'), { address: '127.0.0.1', number: socket.address().port }, t.fail);
  const [packet] = (await once(socket, 'message')) as [Buffer];
  t.is(packet.toString(), 'still there');
});

test('a member’s door hears its server alone', async t => {
  const server = await client(t);
  const stranger = await client(t);
  const came: string[] = [];
  const at = { address: '127.0.0.1', number: server.address().port };
  const door = dgramSockets().memberDoor(at, bytes => came.push(String(bytes)));
  t.teardown(() => door.close());
  door.send(Buffer.from('hello'), at, t.fail);
  const [, { port }] = (await once(server, 'message')) as [Buffer, RemoteInfo];
  stranger.send('forged', port, '127.0.0.1');
  await new Promise(resolve => server.send('one', port, '127.0.0.1', resolve));
  server.send('two', port, '127.0.0.1');
  await until('the server was heard', () => came.includes('two'));
  t.deepEqual(came, ['one', 'two']);
});
