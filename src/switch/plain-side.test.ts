import test from 'ava';
import type { RelayPort } from '../relay/relay.ts';
import { PlainSides } from './plain-side.ts';
import { ChannelWorld } from './testing/channel-world.ts';

/** The plain end of routes (P7.6): a mediator's channel on one side, plain UDP on the other, in the server's relay. */

const device = { address: '192.168.1.10', number: 53 };
const client = { address: '198.51.100.7', number: 4000 };
const publishedNumber = 5353;
const [port, route] = [7, 3];

async function world() {
  const channels = await ChannelWorld.make();
  const { clock, network, relay } = channels;
  const member = channels.upMember('home-1');
  member.relay.setPath(member.cid, {
    door: member.ownDoor,
    peer: channels.serverPeer,
    packetBytes: 1200,
  });
  member.relay.bindRoute(member.cid, port, 'script');
  const sides = new PlainSides(relay);
  const side = sides.of('process:publish');
  const far = { cid: member.cid, route: port };
  /** As the desk of routes does when a terminal has said `made`. */
  const made = () => {
    sides.bindRoute(far.cid, far.route, { cid: side.cid, route });
    sides.bindRoute(side.cid, route, far);
  };
  const outside: string[] = [];
  const socket = network
    .host(client.address)
    .port(client.number, undefined, bytes => outside.push(`${bytes}`));
  const fromClient = (text: string) =>
    socket.send(
      Buffer.from(text),
      { address: channels.serverPeer.address, number: publishedNumber },
      () => {},
    );
  const fromDevice = (text: string, peer = device) =>
    member.relay.sendDatagram(member.cid, port, peer, Buffer.from(text));
  const published: RelayPort = relay.addPort(publishedNumber, { family: 4, approve: false });
  const settle = () => clock.advance(100);
  return { relay, member, sides, side, made, outside, fromClient, fromDevice, published, settle };
}

test('P7.6: a client’s datagrams go into the mediator’s channel, and the device’s come out to that client', async t => {
  const { member, side, made, outside, fromClient, fromDevice, published, settle } = await world();
  const to = { port: published, peer: client, only: device };
  side.relay.bindRoute(side.cid, route, to, { held: true });
  made();
  fromDevice('held');
  settle();
  t.deepEqual(outside, []);
  side.relay.bindRoute(side.cid, route, to);
  side.relay.bindPeer(published, client, { cid: side.cid, route, peer: device }, 120_000);
  fromClient('ask');
  fromDevice('from elsewhere', { ...device, number: 54 });
  fromDevice('answer');
  settle();
  t.deepEqual(outside, ['held', 'answer']);
  t.deepEqual(member.datagrams, [{ route: port, peer: device, text: 'ask' }]);
});

test('P7.6: when the route is withdrawn what is bound to it is the script’s, and nothing of the mediator comes out', async t => {
  const { sides, side, made, member, outside, fromClient, fromDevice, published, settle } = await world();
  side.relay.bindRoute(side.cid, route, { port: published, peer: client });
  made();
  side.relay.sendDatagram(side.cid, route, device, Buffer.from('by the script'));
  settle();
  t.is(member.datagrams.length, 1);
  sides.unbindRoute(side.cid, route);
  sides.unbindRoute(member.cid, port);
  side.relay.bindPeer(published, client, { cid: side.cid, route, peer: device }, 120_000);
  side.relay.sendDatagram(side.cid, route, device, Buffer.from('too late'));
  fromClient('ask');
  fromDevice('answer');
  settle();
  t.deepEqual([outside.length, member.datagrams.length], [0, 1]);
});

test('P7.6: what leads to script comes to whoever listens to the terminal’s own route', async t => {
  const { side, made, member } = await world();
  const heard: string[] = [];
  const hear = (what: string) => (_peer: unknown, bytes: Buffer) => heard.push(`${what} ${bytes}`);
  side.listenToRoute(side.cid, route, { onDatagram: hear('datagram'), onOversize: hear('oversize') });
  side.relay.bindRoute(side.cid, route, 'script');
  made();
  side.onDatagram(member.cid, port, device, Buffer.from('a'));
  side.onOversize(member.cid, port, device, Buffer.from('b'));
  side.onDatagram(member.cid, port + 1, device, Buffer.from('of another port'));
  t.deepEqual(heard, ['datagram a', 'oversize b']);
});

test('P7.6: a plain side is its terminal’s alone: another link that says its cid has none', async t => {
  const { sides, side } = await world();
  const own = { remote: 'process:publish' };
  const other = { remote: '198.51.100.7:4000' };
  t.false(sides.isOf(side.cid, own));
  sides.onLink(own);
  sides.onLink(other);
  t.deepEqual([sides.isOf(side.cid, own), sides.isOf(side.cid, other)], [true, false]);
  t.not(sides.of('process:service').cid, side.cid);
  t.is(sides.of('process:publish'), side);
  t.true(side.cid > 0x00ff_ffff);
});
