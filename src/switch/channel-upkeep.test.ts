import test from 'ava';
import { packetKind } from '../wire/packet.ts';
import { ChannelWorld, type ChannelWorldMember } from './testing/channel-world.ts';

const lan = { address: '192.168.1.20', number: 5060 };
const route = 7;
const hourMs = 3_600_000;

/** A world whose paths take packets of that many bytes, with a member whose channel is up. */
async function world({ most = 1472, setsDf = true } = {}) {
  const made = await ChannelWorld.make({ setsDf });
  const path = { most };
  const { loses } = made.network;
  made.network.loses = packet => loses(packet) || packet.bytes.length > path.most;
  const member = made.upMember();
  return { made, path, member };
}

/** How long the packets are in which a datagram of that many bytes leaves the server. */
function lengthsOf(made: ChannelWorld, { cid }: ChannelWorldMember, bytes: number): number[] {
  const before = made.fromServer.length;
  made.relay.sendDatagram(cid, route, lan, Buffer.alloc(bytes));
  return made.fromServer.slice(before).map(({ packet }) => packet.length);
}

test('P7.5: member and server each find the size of their direction, and use it', async t => {
  const { made, member } = await world({ most: 1252 });
  made.clock.advance(15_000);
  t.is(member.channel.packetBytes, 1252);
  t.deepEqual(lengthsOf(made, member, 1252 - 32 - 11), [1252]);
  t.is(lengthsOf(made, member, 1252 - 32 - 10).length, 2);
  t.true(made.fromMembers.some(({ packet }) => packet[0] === packetKind.sized));
});

test('P7.5: where packets may be cut up on the way no size is looked for', async t => {
  const { made, member } = await world({ setsDf: false });
  made.clock.advance(60_000);
  t.is(member.channel.packetBytes, 1200);
  t.false([...made.fromMembers, ...made.fromServer].some(({ packet }) => packet[0] === packetKind.size));
});

test('P7.5: a path that has moved is measured anew by both, and so is one that has become a black hole', async t => {
  const { made, path, member } = await world();
  made.clock.advance(1_000);
  t.is(member.channel.packetBytes, 1472);
  path.most = 1300;
  member.places.set(0, { address: '203.0.113.5', number: 50_000 });
  member.channel.nudge();
  made.clock.advance(20_000);
  t.is(member.channel.packetBytes, 1300);
  t.deepEqual(lengthsOf(made, member, 1300 - 32 - 11), [1300]);
  path.most = 1252;
  for (let count = 0; count < 10; count++) lengthsOf(made, member, 100);
  member.channel.nudge();
  made.clock.advance(4_000);
  t.true(member.channel.packetBytes < 1252);
  made.clock.advance(16_000);
  t.is(member.channel.packetBytes, 1252);
  t.deepEqual(lengthsOf(made, member, 1252 - 32 - 11), [1252]);
});

test('P7.5: a channel that carries nothing asks for no size, whatever its KEEPALIVEs', async t => {
  const { made } = await world({ most: 1252 });
  made.clock.advance(60_000);
  const sizes = () =>
    [...made.fromMembers, ...made.fromServer].filter(({ packet }) => packet[0] === packetKind.size).length;
  const before = sizes();
  made.clock.advance(24 * hourMs);
  t.is(sizes(), before);
});

/** A datagram each way every 20 ms; `end` tells what has come to the member and to the server. */
function flow(made: ChannelWorld, member: ChannelWorldMember) {
  const { cid, relay } = member;
  const atServer: string[] = [];
  made.onDatagram = bytes => atServer.push(bytes.toString());
  made.relay.bindRoute(cid, route, 'script');
  relay.bindRoute(cid, route, 'script');
  let sent = 0;
  const run = (ms: number) => {
    for (let at = 0; at < ms; at += 20) {
      relay.sendDatagram(cid, route, lan, Buffer.from(`${sent}`));
      made.relay.sendDatagram(cid, route, lan, Buffer.from(`${sent}`));
      sent++;
      made.clock.advance(20);
    }
  };
  const end = () => {
    made.clock.advance(100);
    return { sent, atServer, atMember: member.datagrams.map(({ text }) => text) };
  };
  return { run, end };
}

const epochs = (packets: readonly { readonly packet: Buffer }[]) => [
  ...new Set(packets.map(({ packet }) => packet[1])),
];

test('P7.3: keys are exchanged when many packets have passed, and nothing is lost or out of order', async t => {
  const { made, member } = await world();
  const { run, end } = flow(made, member);
  run(2_000);
  member.channel.considerRekey(2 ** 28 - 1);
  t.deepEqual(member.told.at(-1)?.step, 'up', 'not yet');
  member.channel.considerRekey(2 ** 28);
  run(30_000);
  member.channel.considerRekey(2 ** 29 - 1);
  t.deepEqual(
    member.told.map(({ step, epoch }) => [step, epoch]),
    [
      ['accept', 0],
      ['up', undefined],
      ['rekeyed', 1],
    ],
  );
  const { sent, atServer, atMember } = end();
  const all = Array.from({ length: sent }, (_, index) => `${index}`);
  t.deepEqual(atServer, all);
  t.deepEqual(atMember, all);
  t.deepEqual(epochs(made.fromMembers), [0, 1]);
  t.deepEqual(epochs(made.fromServer), [0, 1]);
});

test('P7.3: keys are exchanged after four hours, too', async t => {
  const { made, member } = await world();
  member.channel.considerRekey(0);
  made.clock.advance(4 * hourMs - 1_000);
  member.channel.considerRekey(0);
  t.is(member.told.at(-1)?.step, 'up');
  made.clock.advance(1_000);
  member.channel.considerRekey(0);
  t.is(member.told.at(-1)?.step, 'rekeyed');
});

test('P7.3: every time keys are others, beyond the last epoch too', async t => {
  const { made, member } = await world();
  const keys = new Set<string>();
  const add = member.relay.addEpoch.bind(member.relay);
  member.relay.addEpoch = (cid, epochKeys, sealFrom) => {
    for (const { key, iv } of [epochKeys.sealKey, epochKeys.openKey])
      keys.add(Buffer.concat([key, iv]).toString('hex'));
    add(cid, epochKeys, sealFrom);
  };
  for (let time = 1; time <= 300; time++) {
    member.channel.considerRekey(time * 2 ** 28);
    made.clock.advance(1_000);
  }
  t.true(member.channel.up);
  t.is(keys.size, 600);
  t.is(member.told.at(-1)?.epoch, 300 - 256);
});

test('P7.3: an answer that is lost with its link changes nothing, and the next link makes it good', async t => {
  const { made, member } = await world();
  const { run, end } = flow(made, member);
  member.deaf = true;
  member.channel.considerRekey(2 ** 28);
  run(30_000);
  t.deepEqual(epochs(made.fromServer), [0]);
  const lost = member.told.at(-1);
  member.deaf = false;
  member.channel.onNewLink();
  if (lost !== undefined) member.channel.onMessage(lost);
  member.channel.considerRekey(2 ** 29);
  run(30_000);
  const { sent, atServer, atMember } = end();
  t.is(atServer.length, sent);
  t.is(atMember.length, sent);
  t.deepEqual(epochs(made.fromServer), [0, 2]);
});

test('P7.3: a rekey without a nonce is refused, one of somebody else ignored, and the channel goes on', async t => {
  const { made, member } = await world();
  const other = made.upMember('other');
  const { cid } = member;
  made.desk.onMessage(member, { step: 'rekey', cid });
  t.is(member.told.at(-1)?.step, 'refuse');
  made.desk.onMessage(other, { step: 'rekey', cid, nonce: Buffer.alloc(32) });
  t.is(other.told.at(-1)?.step, 'up');
  member.channel.onMessage({ step: 'rekeyed', cid, epoch: 9, nonce: Buffer.alloc(32) });
  made.clock.advance(60_000);
  t.true(member.channel.up);
  t.deepEqual(epochs(made.fromMembers), [0]);
});
