import type { ExecutionContext } from 'ava';
import { until } from '../../native/test-sockets.ts';
import { type DatagramBody, encodePacketBody, type PacketBody, packetKind } from '../../wire/packet.ts';
import { PacketOpener } from '../packet-seal.ts';
import { keyOf, type RawPeer, type RelayLab, type RelaySubject, rawPeer, sealRaw } from './relay-lab.ts';
import { type Claim, elsewhere, oneChannel, routeDown, routeUp, textsOf } from './scenes.ts';

/** Claims of compliance.ts about datagrams that share a packet (P7.2). */

const cid = 5;
const [up, down] = [keyOf('aes-128-gcm', 50), keyOf('aes-128-gcm', 51)];

const datagramOf = (text: string, route = routeUp): DatagramBody => {
  return { kind: 'datagram', route, peer: elsewhere, bytes: Buffer.from(text) };
};

/** A server's relay with a channel whose member is this program: `say` seals a body of BUNDLE and sends it. */
async function rawMember(t: ExecutionContext, lab: RelayLab) {
  const server = await lab.server();
  server.relay.addChannel(cid, { epoch: 0, sealKey: down, openKey: up });
  const member = await rawPeer(t);
  let counter = 0;
  const say = (body: Buffer) => {
    member.send(sealRaw(up, { kind: packetKind.bundle, cid, counter: counter++ }, body), server.peer);
  };
  return { server, member, say };
}

const bundleOf = (...datagrams: readonly DatagramBody[]) => encodePacketBody({ kind: 'bundle', datagrams });

/** Kinds of the packets that have come to a member, and the texts that stand in them. */
function opened({ got }: RawPeer) {
  const opener = new PacketOpener(down, 0);
  const bodies = got.flatMap(({ bytes }) => opener.open(bytes, 0) ?? []);
  const datagrams = bodies.flatMap<PacketBody>(body => (body.kind === 'bundle' ? body.datagrams : [body]));
  const texts = datagrams.map(body => (body.kind === 'datagram' ? body.bytes.toString() : body.kind));
  return { kinds: bodies.map(({ kind }) => kind), texts };
}

/** Registers them. */
export function claimBundles(claim: Claim, { bundles }: RelaySubject): void {
  claim(
    'what shares a packet goes where its routes lead, in order, and what leads nowhere is counted',
    async (t, lab) => {
      const { server, say } = await rawMember(t, lab);
      for (const route of [routeUp, routeDown]) server.relay.bindRoute(cid, route, 'script');
      say(bundleOf(datagramOf('a'), datagramOf('', routeDown), datagramOf('lost', 99), datagramOf('b')));
      await until('three have come', () => server.heard.datagrams.length === 3);
      t.deepEqual(
        server.heard.datagrams.map(({ route, text }) => [route, text]),
        [
          [routeUp, 'a'],
          [routeDown, ''],
          [routeUp, 'b'],
        ],
      );
      t.is(server.relay.channelCounters(cid)?.unbound, 1);
      t.is(server.relay.channelCounters(cid)?.packetsIn, 1);
    },
  );

  claim('a bundle that is laid out otherwise is dropped as a whole, and counted', async (t, lab) => {
    const { server, say } = await rawMember(t, lab);
    server.relay.bindRoute(cid, routeUp, 'script');
    const good = bundleOf(datagramOf('a'), datagramOf('b'));
    const bad = [
      Buffer.alloc(0),
      bundleOf(datagramOf('alone')),
      good.subarray(0, -1),
      Buffer.concat([good, Buffer.of(0)]),
      Buffer.concat([good, Buffer.alloc(2)]),
      Buffer.concat([good, Buffer.from('000b0000000709c000020100350061', 'hex')]),
      bundleOf(...Array.from({ length: 6 }, () => datagramOf('x'.repeat(182)))),
    ];
    for (const body of bad) say(body);
    await until('all are counted', () => server.relay.channelCounters(cid)?.malformed === bad.length);
    say(good);
    await until('a good one comes', () => server.heard.datagrams.length === 2);
    t.deepEqual(textsOf(server.heard.datagrams), ['a', 'b']);
  });

  claim('what came in one packet with others goes on whole, however long it is', async (t, lab) => {
    const { member: far, server, memberPeer } = await oneChannel(lab, { packetBytes: 1400 });
    far.relay.bindRoute(1, routeUp, 'script');
    const path = { door: server.door, peer: memberPeer, packetBytes: 1400, bundleBytes: 600 };
    server.relay.setPath(1, path);
    server.relay.addChannel(cid, { epoch: 0, sealKey: down, openKey: up });
    server.relay.bindRoute(cid, routeDown, { cid: 1, route: routeUp });
    const texts = ['a'.repeat(50), 'b'.repeat(700), 'c'.repeat(50), 'd'.repeat(300)];
    const body = bundleOf(...texts.map(text => datagramOf(text, routeDown)));
    const raw = await rawPeer(t);
    raw.send(sealRaw(up, { kind: packetKind.bundle, cid, counter: 0 }, body), server.peer);
    await until('all have come', () => far.heard.datagrams.length === texts.length);
    t.deepEqual(textsOf(far.heard.datagrams), texts);
  });

  claim('what leaves at once shares packets where the other side opens them, in order', async (t, lab) => {
    const { server, member } = await rawMember(t, lab);
    const { relay, door } = server;
    const texts = Array.from({ length: 13 }, (_, index) =>
      String.fromCharCode(97 + index).repeat(index === 7 ? 1000 : 200),
    );
    // What a route holds leaves in one turn.
    relay.bindRoute(cid, routeUp, { cid, route: routeDown }, { held: true });
    const say = (bytes: Buffer, counter: number) =>
      member.send(sealRaw(up, { kind: packetKind.datagram, cid, counter }, bytes), server.peer);
    for (const [index, text] of texts.entries()) say(encodePacketBody(datagramOf(text)), index);
    await until('all are held', () => relay.channelCounters(cid)?.packetsIn === texts.length);
    relay.setPath(cid, { door, peer: member.peer, packetBytes: 1472, bundleBytes: 1200 });
    relay.bindRoute(cid, routeUp, { cid, route: routeDown });
    await until('all have come', () => opened(member).texts.length === texts.length);
    t.deepEqual(opened(member).texts, texts);
    const together = ['bundle', 'bundle', 'datagram', 'bundle'];
    t.deepEqual(opened(member).kinds, bundles ? together : texts.map(() => 'datagram'));
    t.true(member.got.every(({ bytes }) => bytes.length <= 1200));
    relay.sendDatagram(cid, routeDown, elsewhere, Buffer.from('one'));
    await until('it has come', () => opened(member).texts.length > texts.length);
    t.is(opened(member).kinds.at(-1), 'datagram');
  });

  claim(
    'more than its memory holds at once leaves in order, too; so does what was sent before the path went',
    async (t, lab) => {
      const { member, server, serverPeer } = await oneChannel(lab);
      const path = { door: member.door, peer: serverPeer, packetBytes: 1200, bundleBytes: 1200 };
      member.relay.setPath(1, path);
      // Of packets of their own a socket of Node's does not hold so many.
      const length = bundles ? 700 : 100;
      const texts = Array.from({ length }, (_, index) => `${index}`.padEnd(200, '.'));
      for (const text of texts) member.relay.sendDatagram(1, routeDown, elsewhere, Buffer.from(text));
      member.relay.setPath(1, undefined);
      await until('all have come', () => server.heard.datagrams.length === texts.length);
      t.deepEqual(textsOf(server.heard.datagrams), texts);
      t.is(member.relay.channelCounters(1)?.pathless, 0);
    },
  );
}
