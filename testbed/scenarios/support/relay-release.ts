import { createSocket } from 'node:dgram';
import process from 'node:process';
import { requireAddon } from '../../../src/native/addon.ts';
import { nativeRelay } from '../../../src/relay/native-relay.ts';
import type { RelayHandlers } from '../../../src/relay/relay.ts';
import { keyOf, shortTimes } from '../../../src/relay/testing/relay-lab.ts';

/**
 * Lets twenty datagrams of 1400 bytes leave a relay's port at once, to a socket of its own, and says in which order they
 * came and what the port counted: run where the device takes none of them whole.
 */

const count = 20;
const server = { address: '127.0.0.1', number: 7001 };
const nothing = () => {};
const handlers: RelayHandlers = {
  onControl: nothing,
  onElsewhere: nothing,
  onDatagram: nothing,
  onPortDatagram: nothing,
  onUnapproved: nothing,
  onOversize: nothing,
  onUnreachable: nothing,
  onSpent: nothing,
  onIdle: nothing,
};

const times = { ...shortTimes, holdMs: 60_000, partMs: 60_000 };
const [from, to] = [nativeRelay(requireAddon(), handlers), nativeRelay(requireAddon(), handlers, times)];
const [up, down] = [keyOf('aes-128-gcm', 1), keyOf('aes-128-gcm', 2)];
await to.openServiceDoor(server.address, server.number);
const door = from.openMemberDoor(server);
from.addChannel(1, { epoch: 0, sealKey: up, openKey: down });
to.addChannel(1, { epoch: 0, sealKey: down, openKey: up });
from.setPath(1, { door, peer: server, packetBytes: 960 });

const got: number[] = [];
const socket = createSocket('udp4');
socket.bind(0, '127.0.0.1', () => {
  const bound = requireAddon().reserveUdp('127.0.0.1', 0);
  if (typeof bound === 'string') throw new Error(bound);
  const port = to.addPort(bound.fd, { approve: false, family: 4 });
  socket.on('message', bytes => {
    got.push(bytes[0] ?? -1);
    if (got.length < count) return;
    const { packetsOut, unsent } = to.report().ports.get(port) ?? { packetsOut: 0, unsent: 0 };
    process.stdout.write(`${JSON.stringify({ got, packetsOut, unsent })}\n`, () => process.exit());
  });
  const peer = { address: '127.0.0.1', number: socket.address().port };
  to.bindRoute(1, 5, { port }, { held: true });
  for (let index = 0; index < count; index++) from.sendDatagram(1, 5, peer, Buffer.alloc(1400, index));
  const release = setInterval(() => {
    if (to.channelCounters(1)?.packetsIn !== 2 * count) return;
    clearInterval(release);
    to.bindRoute(1, 5, { port });
  }, 5);
});
