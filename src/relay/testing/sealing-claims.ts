import { until } from '../../native/test-sockets.ts';
import { packetOverheadBytes } from '../../wire/packet.ts';
import { packetSuites } from '../../wire/packet-key.ts';
import { claimEpochs } from './epoch-claims.ts';
import { goldenPackets } from './golden-packets.ts';
import { keyOf, rawPeer, sealRaw } from './relay-lab.ts';
import { type Claim, elsewhere, oneChannel, routeDown, routeUp, textsOf, wholePath } from './scenes.ts';

/** Claims of compliance.ts about packets: keys, counters, sizes (P7.2, P7.3, P7.5). */
export function claimSealing(claim: Claim): void {
  for (const suite of packetSuites) {
    claim(`${suite}: packets are sealed and opened as the golden bytes (P7.2, P7.3)`, (t, lab) =>
      goldenPackets(t, lab, suite),
    );

    claim(`${suite}: a device and a terminal speak through mediator and server`, async (t, lab) => {
      const { terminal, device, portPeer } = await wholePath(t, lab, suite);
      const { relay, heard } = terminal.member;
      for (let index = 0; index < 50; index++) device.send(`up ${index}`, portPeer);
      await until('50 datagrams at the terminal', () => heard.datagrams.length === 50);
      t.deepEqual(
        textsOf(heard.datagrams),
        Array.from({ length: 50 }, (_, index) => `up ${index}`),
      );
      t.deepEqual(heard.datagrams[0]?.peer, device.peer);
      for (let index = 0; index < 50; index++)
        relay.sendDatagram(2, routeUp, device.peer, Buffer.from(`down ${index}`));
      await until('50 datagrams at the device', () => device.texts.length === 50);
      t.deepEqual(
        device.texts,
        Array.from({ length: 50 }, (_, index) => `down ${index}`),
      );
      t.deepEqual(device.got[0]?.from, portPeer);
    });
  }

  claim('datagrams of mixed lengths, empty ones too, keep their order and bytes', async (t, lab) => {
    const { terminal, device, portPeer } = await wholePath(t, lab, 'aes-128-gcm');
    const sent = [0, 1, 200, 200, 200, 60, 300, 300, 1100, 0, 1150, 1100, 5].map((length, index) =>
      String.fromCharCode(97 + index).repeat(length),
    );
    for (const text of sent) device.send(Buffer.from(text, 'latin1'), portPeer);
    const { heard } = terminal.member;
    await until('all of them', () => heard.datagrams.length === sent.length);
    t.deepEqual(textsOf(heard.datagrams), sent);
  });

  claim('what fits one packet goes in one, what fits two in two, the rest is told (P7.5)', async (t, lab) => {
    const { member, server } = await oneChannel(lab, { packetBytes: 600 });
    const oneBytes = 600 - packetOverheadBytes - 11;
    const bodyBytes = 2 * (600 - packetOverheadBytes - 5);
    const lengths = [oneBytes, oneBytes + 1, bodyBytes - 11, bodyBytes - 10];
    for (const length of lengths)
      member.relay.sendDatagram(1, routeDown, elsewhere, Buffer.alloc(length, 'x'));
    await until('the longest is told', () => member.heard.oversize.length === 1);
    await until('three have come', () => server.heard.datagrams.length === 3);
    t.deepEqual(
      server.heard.datagrams.map(({ text }) => text.length),
      lengths.slice(0, 3),
    );
    t.deepEqual(member.heard.oversize, [
      { cid: 1, route: routeDown, peer: elsewhere, length: bodyBytes - 10 },
    ]);
    // The first packet of the channel was a KEEPALIVE.
    t.is(member.relay.channelCounters(1)?.packetsOut, 1 + 1 + 2 + 2);
    t.is(member.relay.channelCounters(1)?.oversize, 1);
  });

  claim('a copy of a packet, and one with a bit turned, are dropped and counted (P7.3)', async (t, lab) => {
    const server = await lab.server();
    const wire = await rawPeer(t);
    wire.onBytes = bytes => wire.send(bytes, server.peer);
    const { member } = await lab.channel(server, 1, { towards: wire.peer });
    server.relay.bindRoute(1, routeUp, 'script');
    member.relay.sendDatagram(1, routeUp, elsewhere, Buffer.from('once'));
    await until('it has come', () => server.heard.datagrams.length === 1);
    const packet = wire.got.at(-1)?.bytes ?? Buffer.alloc(0);
    wire.send(packet, server.peer);
    for (const [at, value] of [
      [packet.length - 1, 1],
      [20, 128],
      [1, 1],
      [7, 1],
      [2, 1],
    ] as const) {
      const changed = Buffer.from(packet);
      // A counter that has not come: else it would be a replay.
      changed.writeUInt32BE(1000 + at, 12);
      changed.writeUInt8(changed.readUInt8(at) ^ value, at);
      wire.send(changed, server.peer);
    }
    await until('all six are counted', () => {
      const { channels, doors } = server.relay.report();
      const [channel, door] = [channels.get(1), doors.get(server.door)];
      return [channel?.replayed, channel?.forged, channel?.unknown, door?.unknown].join() === '1,2,1,2';
    });
    t.is(server.heard.datagrams.length, 1);
  });

  claimEpochs(claim);

  claim('random bytes, and random bodies that are sealed well, are dropped and counted', async (t, lab) => {
    const { server, memberPeer } = await oneChannel(lab);
    const wire = await rawPeer(t);
    const key = keyOf('aes-128-gcm', 2);
    let state = 1;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state;
    };
    const bytesOf = (length: number) => Buffer.from(Array.from({ length }, () => random() & 255));
    const doorBefore = server.relay.report().doors.get(server.door)?.packetsIn ?? 0;
    const rounds = 300;
    for (let round = 0; round < rounds; round++) {
      wire.send(bytesOf(random() % 100), server.peer);
      // Datagrams and halves of them: routes and addresses are read from what is inside.
      const kind = 1 + (round & 1);
      wire.send(sealRaw(key, { kind, cid: 1, counter: 1000 + round }, bytesOf(random() % 60)), server.peer);
      await until('both are counted', () => {
        const came = server.relay.report().doors.get(server.door)?.packetsIn ?? 0;
        return came === doorBefore + 2 * (round + 1);
      });
    }
    const counters = server.relay.channelCounters(1);
    t.true((counters?.malformed ?? 0) > rounds / 3, 'bodies that are none');
    t.is(counters?.forged, 0);
    server.relay.sendControl(1, server.door, memberPeer, { kind: 'echo', id: 1 });
    server.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from('it lives'));
    t.is(server.heard.datagrams.length, 0);
  });
}
