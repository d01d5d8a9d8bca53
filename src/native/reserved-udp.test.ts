import dgram, { type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import test from 'ava';
import { EntremiseError } from '../base/errors.ts';
import { requireAddon } from './addon.ts';
import { ReservedUdp } from './reserved-udp.ts';
import { untilFree } from './test-sockets.ts';

const native = requireAddon();

function socketFor(address: string, reuseAddr = false): Socket {
  return address.includes(':')
    ? dgram.createSocket({ type: 'udp6', ipv6Only: true, reuseAddr })
    : dgram.createSocket({ type: 'udp4', reuseAddr });
}

/** The number becomes that socket's. */
function take(reserved: ReservedUdp, socket: Socket): void {
  const addPort = (fd: number) => {
    socket.bind({ fd, exclusive: true });
    native.release(fd);
    return 1;
  };
  reserved.handTo({ addPort }, { family: 4, approve: false });
}

/** What comes of binding that number as Node can. */
async function bindByNode(address: string, port: number, reuseAddr: boolean): Promise<string> {
  const socket = socketFor(address, reuseAddr);
  return new Promise(resolve => {
    socket.once('error', error => resolve('code' in error ? String(error.code) : error.message));
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve('bound')));
  });
}

async function received(socket: Socket): Promise<{ bytes: Buffer; from: RemoteInfo }> {
  const [bytes, from] = await once(socket, 'message');
  return { bytes, from };
}

for (const address of ['127.0.0.1', '127.0.0.9', '::1', '0.0.0.0', '::']) {
  test(`a UDP number of ${address} is nobody else's, held or handed over, until it is closed`, async t => {
    const reserved = ReservedUdp.reserve(native, address, 0);
    t.is(reserved.address, address);
    for (const reuseAddr of [false, true])
      t.is(await bindByNode(address, reserved.port, reuseAddr), 'EADDRINUSE');
    const socket = socketFor(address);
    take(reserved, socket);
    t.is(socket.address().port, reserved.port);
    for (const reuseAddr of [false, true])
      t.is(await bindByNode(address, reserved.port, reuseAddr), 'EADDRINUSE', 'handed over');
    t.is(native.reserveUdp(address, reserved.port), 'EADDRINUSE');
    await new Promise<void>(resolve => socket.close(resolve));
    await untilFree(async () => (await bindByNode(address, reserved.port, false)) === 'bound');
  });
}

for (const address of ['127.0.0.1', '::1']) {
  test(`datagrams of 0 to 65,507 bytes come and go on a number of ${address}, with the peer's own`, async t => {
    const reserved = ReservedUdp.reserve(native, address, 0);
    const socket = socketFor(address);
    take(reserved, socket);
    const peer = socketFor(address);
    peer.bind(0, address);
    await once(peer, 'listening');
    for (const lengthBytes of [1, 0, 1472, 65_507]) {
      const bytes = Buffer.alloc(lengthBytes, lengthBytes % 251);
      const inbound = received(socket);
      peer.send(bytes, reserved.port, address);
      const { from, bytes: got } = await inbound;
      t.true(got.equals(bytes));
      t.is(from.address, address);
      t.is(from.port, peer.address().port);
      const outbound = received(peer);
      socket.send(got, from.port, from.address);
      const back = await outbound;
      t.true(back.bytes.equals(bytes));
      t.is(back.from.port, reserved.port);
    }
    socket.close();
    peer.close();
  });
}

test('broadcasting is not allowed unless somebody switches it on', async t => {
  const reserved = ReservedUdp.reserve(native, '0.0.0.0', 0);
  const socket = socketFor('0.0.0.0');
  take(reserved, socket);
  const error = await new Promise<Error | null>(resolve =>
    // The broadcast address of the loopback network: there whether or not the machine has any other.
    socket.send('x', reserved.port, '127.255.255.255', resolve),
  );
  socket.close();
  t.is(error !== null && 'code' in error ? error.code : undefined, 'EACCES');
});

test('a UDP number is used once, and closing it before frees it', async t => {
  const reserved = ReservedUdp.reserve(native, '127.0.0.1', 0);
  reserved.close();
  reserved.close();
  t.is(reserved.state, 'closed');
  const socket = socketFor('127.0.0.1');
  const bind = () => take(reserved, socket);
  t.is(t.throws(bind, { instanceOf: EntremiseError }).code, 'wrong-state');
  await untilFree(async () => (await bindByNode('127.0.0.1', reserved.port, false)) === 'bound');
  const other = ReservedUdp.reserve(native, '127.0.0.1', 0);
  take(other, socket);
  t.is(other.state, 'handed-over');
  other.close();
  t.is(socket.address().port, other.port);
  socket.close();
});

test('a taken UDP number is port-in-use; the same TCP number is another one', t => {
  // Another test may have that TCP number by chance, but not of every attempt.
  const outcomes = Array.from({ length: 5 }, () => {
    const udp = ReservedUdp.reserve(native, '127.0.0.1', 0);
    const again = () => ReservedUdp.reserve(native, '127.0.0.1', udp.port);
    t.is(t.throws(again, { instanceOf: EntremiseError }).code, 'port-in-use');
    const tcp = native.reserveTcp('127.0.0.1', udp.port);
    udp.close();
    if (typeof tcp === 'string') return tcp;
    native.close(tcp.fd);
    return 'both';
  });
  t.true(outcomes.includes('both'), outcomes.join());
});
