import test from 'ava';
import fc from 'fast-check';
import { errorNumber } from '../base/errors.ts';
import { PacketSealer } from '../relay/packet-seal.ts';
import type { ChannelPath } from '../relay/relay.ts';
import { channelKeys } from '../session/channel-keys.ts';
import type { Channel } from '../wire/messages/attach.ts';
import { encodePacketHeader, type PacketPeer, packetKind, probeBytes } from '../wire/packet.ts';
import { ChannelWorld, worldServer } from './testing/channel-world.ts';

const second = 1_000;
const elsewhere: PacketPeer = { address: '198.51.100.77', number: 999 };

function kinds(packets: readonly { readonly packet: Buffer }[]): string[] {
  return packets.map(({ packet }) => {
    const found = Object.entries(packetKind).find(([, number]) => number === packet[0]);
    return found?.[0] ?? 'unknown';
  });
}

test('S4, P7.1: offer, accept, PROBE, CHALLENGE, ANSWER, up: and both know where the member is seen', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  t.deepEqual(kinds(world.fromMembers), ['probe', 'answer']);
  t.deepEqual(kinds(world.fromServer), ['challenge']);
  t.deepEqual(
    member.told.map(({ step }) => step),
    ['accept', 'up'],
  );
  t.deepEqual(member.ups, [{ address: '203.0.113.5', number: 40_000 }]);
  t.is(world.fromMembers[0]?.packet.length, probeBytes);
  t.true(member.channel.up);
});

test('the first suite of the list that is known is taken; none, or no nonce, is refused', async t => {
  const world = await ChannelWorld.make();
  const member = world.member();
  member.deaf = true;
  const nonce = Buffer.alloc(32);
  world.desk.onMessage(member, { step: 'offer', nonce, suites: ['chacha20-poly1305', 'aes-128-gcm'] });
  world.desk.onMessage(member, { step: 'offer', nonce, suites: [] });
  world.desk.onMessage(member, { step: 'offer', suites: ['aes-128-gcm'] });
  t.is(member.told[0]?.suite, 'chacha20-poly1305');
  t.deepEqual(
    member.told.slice(1).map(({ step, reason }) => [step, reason]),
    [
      ['refuse', errorNumber('unsupported')],
      ['refuse', errorNumber('bad-request')],
    ],
  );
});

test('P7.1: datagrams may share a packet towards who says that he opens BUNDLE, and none beyond what PROBE has shown', async t => {
  for (const [opens, bundleBytes] of [
    [[packetKind.bundle, 200], probeBytes],
    [[200], undefined],
    [undefined, undefined],
  ] as const) {
    const world = await ChannelWorld.make({ setsDf: true });
    const paths: (ChannelPath | undefined)[] = [];
    const { setPath } = world.relay;
    world.relay.setPath = (cid, path) => {
      paths.push(path);
      setPath.call(world.relay, cid, path);
    };
    const member = world.member();
    const without = ({ opens: _, ...message }: Channel): Channel => {
      return opens === undefined ? message : { ...message, opens: [...opens] };
    };
    const { desk } = world;
    const { onMessage } = desk;
    desk.onMessage = (link, message) => onMessage.call(desk, link, without(message));
    const { channel } = member;
    const { onMessage: onAnswer } = channel;
    channel.onMessage = message => onAnswer.call(channel, without(message));
    channel.start();
    world.clock.advance(second);
    t.true(channel.up);
    t.is(channel.packetBytes, 1472);
    t.is(channel.bundleBytes, bundleBytes);
    t.is(paths.at(-1)?.packetBytes, 1472);
    t.is(paths.at(-1)?.bundleBytes, bundleBytes);
  }
});

test('a PROBE, a CHALLENGE or an `up` that is lost is made good', async t => {
  const world = await ChannelWorld.make();
  const member = world.member();
  world.blocked = true;
  member.channel.start();
  world.clock.advance(1_400);
  world.blocked = false;
  world.clock.advance(1_000);
  t.is(member.ups.length, 1);
  t.deepEqual(kinds(world.fromMembers), ['probe', 'probe', 'probe', 'answer']);
});

test('where UDP does not pass four PROBEs are sent, then nothing more, and the server is told', async t => {
  const world = await ChannelWorld.make();
  const member = world.member();
  world.blocked = true;
  member.channel.start();
  world.clock.advance(3_600 * second);
  t.deepEqual(kinds(world.fromMembers), ['probe', 'probe', 'probe', 'probe']);
  t.deepEqual(member.downs, [{ why: 'blocked', code: undefined }]);
  t.is(world.desk.counters.live, 0);
});

test('a refusal is told with its code', async t => {
  const world = await ChannelWorld.make();
  for (let count = 0; count < 4; count += 1) world.upMember();
  const fifth = world.member();
  fifth.channel.start();
  t.deepEqual(fifth.downs, [{ why: 'refused', code: 'limit' }]);
});

test('unknown cid, bad tag, replay, noise and what is too early: silence, and each is counted', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  member.channel.ask(0, 1, 0);
  world.clock.advance(100);
  const good = world.fromMembers.at(-1)?.packet ?? Buffer.alloc(0);
  const answered = world.fromServer.length;
  const other = Buffer.from(good);
  other.writeUInt32BE(0x00fffffe, 4);
  const forged = Buffer.from(good);
  forged.writeUInt8(forged.readUInt8(20) ^ 1, 20);
  const { dropped } = world.desk.counters;
  for (const packet of [good, other, forged, good.subarray(0, 31), Buffer.alloc(0)])
    world.inject(packet, member.placeOf(0));
  world.clock.advance(20);
  t.is(world.desk.counters.dropped - dropped, 5);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(...Object.keys(packetKind)),
      (bytes, kind) => {
        const header = { kind: kind as keyof typeof packetKind, epoch: 0, cid: member.cid, counter: 77 };
        world.inject(Buffer.from(bytes), elsewhere);
        world.inject(Buffer.concat([encodePacketHeader(header), bytes]), elsewhere);
      },
    ),
  );
  world.clock.advance(100);
  t.is(world.fromServer.length, answered, 'not one packet has gone out');
});

test('before its place is proved a member is answered nothing but a challenge', async t => {
  const world = await ChannelWorld.make();
  const member = world.member();
  member.deaf = true;
  member.channel.start();
  const accept = member.told[0];
  if (accept !== undefined) member.channel.onMessage(accept);
  // The member believes that it is up; the server has had no ANSWER.
  member.channel.onMessage({ step: 'up', cid: member.cid, observed: '203.0.113.5:1' });
  member.channel.ask(0, 1, 0);
  member.channel.ask(0, 2, 1_000);
  world.clock.advance(15);
  t.deepEqual(kinds(world.fromServer), ['challenge']);
});

test('nothing the server sends is longer than what it answers', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  member.places.set(0, { address: '2001:db8::1', number: 7 });
  for (let place = 0; place < 8; place += 1) member.channel.ask(place, place, 1_000);
  world.clock.advance(60 * second);
  const longest = (kind: string, packets: readonly { readonly packet: Buffer }[]) =>
    Math.max(
      ...packets.filter(({ packet }) => kinds([{ packet }])[0] === kind).map(one => one.packet.length),
    );
  t.true(longest('echo', world.fromServer) <= longest('echo-after', world.fromMembers));
  t.true(longest('alive', world.fromServer) <= longest('keepalive', world.fromMembers));
  t.true(longest('challenge', world.fromServer) <= probeBytes);
});

test('ECHO comes when it was asked for, to the place that asked, and once', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  const startMs = world.clock.now();
  member.channel.ask(3, 1, 5_000);
  member.channel.ask(4, 2, 0);
  world.clock.advance(20 * second);
  t.deepEqual(member.echoes, [
    { place: 4, id: 2, atMs: startMs + 20 },
    { place: 3, id: 1, atMs: startMs + 5_020 },
  ]);
  t.is(member.rebounds.length, 0, 'a question from a spare place moves nothing');
});

test('a place has one silence outstanding, the newest; a member eight; 600 s is the longest', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  member.channel.ask(1, 1, 5_000);
  member.channel.ask(1, 2, 6_000);
  for (let place = 2; place <= 10; place += 1) member.channel.ask(place, 100 + place, 7_000);
  member.channel.ask(11, 200, 600_001);
  world.clock.advance(10 * second);
  t.deepEqual(
    member.echoes.map(({ id }) => id),
    [2, 102, 103, 104, 105, 106, 107, 108],
  );
  member.channel.ask(1, 300, 600_000);
  world.clock.advance(601 * second);
  t.is(member.echoes.at(-1)?.id, 300, 'and what has ended is given back');
});

test('a channel that ends asks nothing of the network any more', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  member.channel.ask(1, 1, 5_000);
  world.clock.advance(100);
  member.channel.stop();
  const sent = world.fromServer.length;
  world.clock.advance(60 * second);
  t.is(world.fromServer.length, sent);
  t.is(world.desk.counters.live, 0);
});

test('after a NAT rebound the path moves by its own challenge, and the member hears of it', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  world.clock.advance(26 * second);
  t.is(member.rebounds.length, 0);
  const before = world.fromServer.length;
  member.places.set(0, { address: '203.0.113.5', number: 50_000 });
  world.clock.advance(25 * second);
  t.deepEqual(kinds(world.fromServer.slice(before)), ['alive', 'challenge', 'challenge']);
  t.deepEqual(
    member.rebounds.map(({ from, to }) => [from.number, to.number]),
    [[40_000, 50_000]],
  );
  const moved = world.fromServer.length;
  world.clock.advance(25 * second);
  t.deepEqual(kinds(world.fromServer.slice(moved)), ['alive'], 'no doubt any more');
});

test('a packet that somebody on the way sends on from elsewhere moves nothing: the old path answers', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  world.clock.advance(24_900);
  const before = world.fromServer.length;
  world.blocked = true;
  world.clock.advance(300);
  world.blocked = false;
  const stolen = world.fromMembers.at(-1)?.packet ?? Buffer.alloc(0);
  t.deepEqual(kinds([{ packet: stolen }]), ['keepalive']);
  world.inject(stolen, elsewhere);
  world.clock.advance(5 * second);
  t.true(world.fromServer.slice(before).some(({ peer }) => peer.number === elsewhere.number));
  const then = world.fromServer.length;
  world.clock.advance(60 * second);
  t.true(world.fromServer.length > then);
  t.true(world.fromServer.slice(then).every(({ peer }) => peer.number === 40_000));
  t.deepEqual(
    kinds(world.fromServer.slice(then)).filter(kind => kind !== 'alive'),
    [],
    'and is not doubted',
  );
  t.true(member.channel.up);
});

test('at most four challenges a second go out for a channel, however many PROBEs come', async t => {
  const world = await ChannelWorld.make();
  const member = world.member();
  member.deaf = true;
  const memberNonce = Buffer.alloc(32, 1);
  const suite = 'aes-128-gcm';
  world.desk.onMessage(member, { step: 'offer', nonce: memberNonce, suites: [suite] });
  const { cid = 0, epoch = 0, nonce: serverNonce = Buffer.alloc(0) } = member.told[0] ?? {};
  const { secret: exporter } = member;
  const keys = channelKeys({ exporter, memberNonce, serverNonce, cid, epoch, suite });
  const sealer = new PacketSealer(keys.memberToServer, cid, epoch);
  for (let count = 0; count < 40; count += 1) {
    world.inject(sealer.seal({ kind: 'probe' }), { address: '198.51.100.1', number: 1_000 + count });
    world.clock.advance(25);
  }
  const challenges = kinds(world.fromServer).length;
  t.true(challenges >= 4 && challenges <= 8, `${challenges} in the first second, the burst of four included`);
});

test('keepalives that nobody answers: the channel is lost after eight in a row and a wait', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  world.blocked = true;
  const sent = world.fromMembers.length;
  world.clock.advance(25 * second);
  world.clock.advance(3 * second);
  t.deepEqual(kinds(world.fromMembers.slice(sent)), Array(8).fill('keepalive'));
  t.deepEqual(member.downs, [], 'an answer may take so long');
  world.clock.advance(second);
  t.deepEqual(member.downs, [{ why: 'lost', code: undefined }]);
});

test('keepalives that nobody answers while datagrams come: the channel has more rounds', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  member.relay.bindRoute(member.cid, 7, 'script');
  const sent = world.fromMembers.length;
  world.network.loses = ({ to }) => to.number === worldServer.number;
  world.clock.advance(26 * second);
  world.relay.sendDatagram(member.cid, 7, { address: '192.168.1.9', number: 9 }, Buffer.from('x'));
  world.clock.advance(2.5 * second);
  t.deepEqual([member.datagrams.length, member.downs.length], [1, 0]);
  world.clock.advance(5 * second);
  t.is(kinds(world.fromMembers.slice(sent)).length, 16);
  t.deepEqual(member.downs, [{ why: 'lost', code: undefined }]);
});

test('without a link a channel goes on for 120 s, then its packets meet silence', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember();
  world.desk.onLinkEnded(member, 'link-lost');
  world.clock.advance(119 * second);
  t.is(world.desk.counters.live, 1);
  t.is(member.downs.length, 0, 'keepalives were answered');
  world.clock.advance(2 * second);
  t.is(world.desk.counters.live, 0);
  world.clock.advance(40 * second);
  t.deepEqual(member.downs, [{ why: 'lost', code: undefined }]);
});

test('a member that comes back over and over has room: a channel without a link gives way', async t => {
  const world = await ChannelWorld.make();
  for (let count = 0; count < 20; count += 1) {
    const member = world.upMember();
    t.is(member.ups.length, 1, `time ${count}`);
    world.desk.onLinkEnded(member, 'link-lost');
  }
  t.true(world.desk.counters.live <= 4);
});

test('a channel is closed by its own member only', async t => {
  const world = await ChannelWorld.make();
  const member = world.upMember('home-1');
  const other = world.upMember('home-2');
  world.desk.onMessage(other, { step: 'close', cid: member.cid });
  t.is(world.desk.counters.live, 2);
  world.desk.onMessage(member, { step: 'close', cid: member.cid });
  t.is(world.desk.counters.live, 1);
});
