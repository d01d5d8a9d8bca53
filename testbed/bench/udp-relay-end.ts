import process from 'node:process';
import { requireAddon } from '../../src/native/addon.ts';
import { nativeRelay } from '../../src/relay/native-relay.ts';
import type { Relay, RelayHandlers } from '../../src/relay/relay.ts';
import type { PacketPeer } from '../../src/wire/packet.ts';
import type { PacketKey, PacketSuite } from '../../src/wire/packet-key.ts';

/**
 * One end of what the bench of UDP drives, a process a namespace, over the same relay as the product's:
 *
 *   mediator SUITE LAN-ADDRESS NUMBER SERVER NUMBER          what comes to the port goes into the channel
 *   server SUITE ADDRESS NUMBER PEER NUMBER                  what comes on the channel goes to a plain peer
 *   server-to-channel SUITE ADDRESS NUMBER                   ... to the terminal's channel, swapped like a label
 *   terminal SUITE SERVER NUMBER PEER NUMBER                 what comes on the channel goes to a plain peer
 *
 * Keys are fixed: nobody else is in that lab. Says `ready`, and `up` once the other end was heard.
 */

const mediatorCid = 1;
const terminalCid = 2;
const route = 1;
const lengths = { packetBytes: 1400, bundleBytes: 1200 };

const handlers: RelayHandlers = {
  onControl() {},
  onElsewhere() {},
  onDatagram() {},
  onPortDatagram() {},
  onUnapproved() {},
  onOversize() {},
  onUnreachable() {},
  onSpent() {},
  onIdle() {},
};

function keyOf(suite: PacketSuite, filler: number): PacketKey {
  return {
    suite,
    key: Buffer.alloc(suite === 'aes-128-gcm' ? 16 : 32, filler),
    iv: Buffer.alloc(12, filler),
  };
}

function peerOf(address: string | undefined, number: string | undefined): PacketPeer {
  if (address === undefined || number === undefined) throw new Error('an address and a number are missing');
  return { address, number: Number(number) };
}

function say(word: string): void {
  process.stdout.write(`${word}\n`);
}

/** A member's end: its door, and a channel that it keeps by saying something each second. */
function openMember(relay: Relay, cid: number, suite: PacketSuite, server: PacketPeer): void {
  const door = relay.openMemberDoor(server);
  relay.addChannel(cid, {
    epoch: 0,
    sealKey: keyOf(suite, cid * 2),
    openKey: keyOf(suite, cid * 2 + 1),
  });
  relay.setPath(cid, { door, peer: server, ...lengths });
  const speak = () => relay.sendControl(cid, door, server, { kind: 'keepalive', id: 1 });
  speak();
  setInterval(speak, 1000);
}

async function runServer(suite: PacketSuite, own: PacketPeer, peer: PacketPeer | undefined): Promise<void> {
  const relay: Relay = nativeRelay(requireAddon(), {
    ...handlers,
    onControl(cid, from, to) {
      relay.setPath(cid, { door: from, peer: to, ...lengths });
      say('up');
    },
  });
  for (const cid of [mediatorCid, terminalCid])
    relay.addChannel(cid, {
      epoch: 0,
      sealKey: keyOf(suite, cid * 2 + 1),
      openKey: keyOf(suite, cid * 2),
    });
  await relay.openServiceDoor(own.address, own.number);
  if (peer === undefined) relay.bindRoute(mediatorCid, route, { cid: terminalCid, route });
  else {
    const limits = { maxPeers: 1000, idleMs: 120_000, peersPerSecond: 100 };
    const port = relay.addService({ service: peer, ...limits });
    relay.bindPort(port, { cid: mediatorCid, route });
    relay.bindRoute(mediatorCid, route, { port });
  }
  say('ready');
  // The sockets alone keep nobody alive.
  setInterval(() => {}, 60_000);
}

function runMediator(suite: PacketSuite, lan: PacketPeer, server: PacketPeer): void {
  const relay = nativeRelay(requireAddon(), handlers);
  openMember(relay, mediatorCid, suite, server);
  const bound = requireAddon().reserveUdp(lan.address, lan.number);
  if (typeof bound === 'string') throw new Error(bound);
  const port = relay.addPort(bound.fd, { approve: true, family: 4 });
  relay.bindPort(port, { cid: mediatorCid, route });
  relay.bindRoute(mediatorCid, route, { port });
  say('ready');
}

function runTerminal(suite: PacketSuite, server: PacketPeer, peer: PacketPeer): void {
  const relay = nativeRelay(requireAddon(), handlers);
  openMember(relay, terminalCid, suite, server);
  const bound = requireAddon().reserveUdp('0.0.0.0', 0);
  if (typeof bound === 'string') throw new Error(bound);
  const port = relay.addPort(bound.fd, { approve: false, family: 4 });
  relay.bindRoute(terminalCid, route, { port, peer });
  say('ready');
}

async function main([role, suiteName, ...places]: readonly string[]): Promise<void> {
  const suite: PacketSuite = suiteName === 'aes-128-gcm' ? suiteName : 'chacha20-poly1305';
  const [first, firstNumber, second, secondNumber] = places;
  const own = peerOf(first, firstNumber);
  if (role === 'mediator') return runMediator(suite, own, peerOf(second, secondNumber));
  if (role === 'terminal') return runTerminal(suite, own, peerOf(second, secondNumber));
  return runServer(suite, own, role === 'server' ? peerOf(second, secondNumber) : undefined);
}

await main(process.argv.slice(2));
