import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { ChannelKeeper } from '../member/channel-keeper.ts';
import { ChannelSet } from '../member/channel-set.ts';
import { RelayHub } from '../relay/relay-hub.ts';
import { ScriptRelay } from '../relay/script-relay.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { ChannelLink } from './channel-desk.ts';
import { ChannelWorld, worldServer } from './testing/channel-world.ts';

const lan = { address: '192.168.1.20', number: 5060 };
const second = 1_000;

/** A member with its channels, on the desk of a server. */
class Member implements ChannelLink {
  readonly identity = { key: 'm', role: 'mediator', name: 'm', instance: 'aa', linkNo: 1 } as const;
  readonly hub: RelayHub;
  readonly set: ChannelSet;
  readonly downs: boolean[] = [];
  isLinkSilent = false;
  private linkBytes = 0;
  private readonly secret = randomBytes(32);

  constructor(world: ChannelWorld) {
    const { clock, network, desk } = world;
    const sockets = network.host('198.51.100.9');
    this.hub = new RelayHub(handlers => new ScriptRelay({ clock, handlers, sockets }));
    this.set = new ChannelSet({
      clock,
      random: () => 1,
      keepaliveMs: () => 25 * second,
      isWanted: () => true,
      say: message => {
        desk.onMessage(this, message);
        return true;
      },
      onUp: () => {},
      onSize: () => {},
      onEcho: () => {},
      onSeen: () => {},
      onRebound: () => {},
      onRekeyed: () => {},
      onDown: (_why, _code, isFirst) => this.downs.push(isFirst),
    });
  }

  get session() {
    const askLink = () => (this.isLinkSilent ? this.linkBytes : this.linkBytes++);
    return { server: worldServer, hub: this.hub, askLink, secret: () => this.secret };
  }

  /** Answers come a moment later, as on a link. */
  sendChannel(message: Channel): void {
    queueMicrotask(() => this.set.onMessage(message));
  }

  channelSecret(): Buffer {
    return this.secret;
  }
}

const turns = async (world: ChannelWorld, ms: number) => {
  for (let at = 0; at < ms; at += 50) {
    world.clock.advance(50);
    await Promise.resolve();
  }
};

/** A member whose shared channel is up, and one of its own beside it. */
async function two() {
  const world = await ChannelWorld.make();
  const member = new Member(world);
  member.set.onLink(member.session, false);
  const own = member.set.add(member.session);
  await turns(world, second);
  if (own === undefined) throw new Error('there is no other channel');
  return { world, member, own };
}

/** How many of ten datagrams arrive at the server on that channel. */
async function arriving(world: ChannelWorld, { hub }: Member, { cid = 0 }: ChannelKeeper): Promise<number> {
  const got: string[] = [];
  world.onDatagram = bytes => got.push(bytes.toString());
  world.relay.bindRoute(cid, 7, 'script');
  for (let index = 0; index < 10; index++) hub.relay.sendDatagram(cid, 7, lan, Buffer.from(`${index}`));
  await turns(world, second);
  return got.length;
}

test('P7.1: two channels of a member are two: cids, sockets, keys, and each carries what is its own', async t => {
  const { world, member, own } = await two();
  const { first } = member.set;
  t.deepEqual([first.state, own.state], ['up', 'up']);
  t.not(first.cid, own.cid);
  t.is(new Set(world.fromMembers.map(({ peer }) => peer.number)).size, 2);
  t.is(await arriving(world, member, first), 10);
  t.is(await arriving(world, member, own), 10);
  t.is(world.desk.counters.live, 2);
});

test('P7.1: what one of two channels loses, its path too, is nothing to the other', async t => {
  const { world, member, own } = await two();
  const { first } = member.set;
  const { cid } = own;
  world.network.loses = ({ bytes }) => bytes.readUInt32BE(4) === cid;
  t.is(await arriving(world, member, own), 0);
  t.is(await arriving(world, member, first), 10);
  await turns(world, 60 * second);
  t.deepEqual(member.downs, [false], 'each has keepalives of its own');
  t.deepEqual([first.state, own.state], ['up', 'up']);
  t.not(own.cid, cid, 'and is offered anew by itself');
});

test('P7.1: a channel that is of no use any more ends, at the server too; there are three at most', async t => {
  const { world, member, own } = await two();
  const more = [member.set.add(member.session), member.set.add(member.session)];
  t.is(member.set.add(member.session), undefined);
  await turns(world, second);
  t.deepEqual(
    more.map(each => each?.state),
    ['up', 'up'],
  );
  t.is(world.desk.counters.live, 4);
  member.set.remove(own);
  t.is(world.desk.counters.live, 3);
  t.not(member.set.add(member.session), undefined);
});

test('P7.1: where the server grants no more the shared channel carries what was meant for another', async t => {
  const { world, member } = await two();
  const other = new Member(world);
  other.set.onLink(other.session, false);
  other.set.add(other.session);
  await turns(world, second);
  const refused = member.set.own(member.session, () => () => {});
  await turns(world, second);
  t.deepEqual([refused?.cid, refused?.isTrying], [member.set.first.cid, false]);
});

test('P7.4: all of them go on with the next link of the server that has them', async t => {
  const { world, member, own } = await two();
  const cids = [member.set.first.cid, own.cid];
  world.desk.onLinkEnded(member, 'link-lost');
  member.set.forgetOffers();
  await turns(world, 5 * second);
  world.desk.onLink(member);
  member.set.onLink(member.session, true);
  await turns(world, 60 * second);
  t.deepEqual([member.set.first.cid, own.cid], cids);
  t.is(await arriving(world, member, own), 10);
});

/** A flow of ten datagrams a second, for so many ms, from the server or from the member. */
async function flow(world: ChannelWorld, member: Member, from: 'server' | 'member', ms: number) {
  const { cid = 0 } = member.set.first;
  const relay = from === 'server' ? world.relay : member.hub.relay;
  for (let at = 0; at < ms; at += 100) {
    relay.sendDatagram(cid, 7, lan, Buffer.from('x'));
    await turns(world, 100);
  }
}

for (const from of ['server', 'member'] as const)
  test(`F26, P8.3: a path that swallows what the ${from} sends is noticed within 5 s`, async t => {
    const { world, member } = await two();
    await flow(world, member, from, 10 * second);
    t.deepEqual(member.downs, []);
    world.network.loses = () => true;
    await flow(world, member, from, 5 * second);
    t.deepEqual(member.downs, [true]);
  });

test('P8.3: where the link is as silent a channel that would go on by itself has longer', async t => {
  const { world, member } = await two();
  await flow(world, member, 'member', 6 * second);
  member.isLinkSilent = true;
  world.network.loses = () => true;
  await flow(world, member, 'member', 5 * second);
  world.network.loses = () => false;
  await flow(world, member, 'member', 20 * second);
  t.deepEqual(member.downs, []);
  t.is(member.set.first.state, 'up');
});

for (const ways of ['both ways', 'the way there'] as const)
  test(`P8.3: a member that only hears knows 6 s after its own silence that ${ways} are broken, though its link is silent too`, async t => {
    const { world, member } = await two();
    const { cid = 0 } = member.set.first;
    world.relay.bindRoute(cid, 7, 'script');
    await turns(world, 26 * second);
    member.isLinkSilent = true;
    world.network.loses = ({ to }) => ways === 'both ways' || to.address === worldServer.address;
    for (let at = 0; at < 31 * second && member.downs.length === 0; at += 3 * second) {
      world.relay.sendDatagram(cid, 7, lan, Buffer.from('x'));
      await turns(world, Math.min(3 * second, 31 * second - at));
    }
    t.true(member.downs.length > 0);
  });

test('P8.3: a flow that begins on a path that has broken in a silence is not longer in the dark', async t => {
  const { world, member } = await two();
  await turns(world, 10 * second);
  world.network.loses = () => true;
  await turns(world, second);
  await flow(world, member, 'member', 5 * second);
  t.deepEqual(member.downs, [true]);
});

test('P8.3: a flow that ends is asked after once, and a channel that is silent no more than its binding needs', async t => {
  const { world, member } = await two();
  await flow(world, member, 'server', 10 * second);
  const { cid } = member.set.first;
  const keepalives = () =>
    world.fromMembers.filter(({ packet }) => packet[0] === 6 && packet.readUInt32BE(4) === cid).length;
  const before = keepalives();
  await turns(world, 24 * second);
  t.is(keepalives() - before, 1);
  await turns(world, 50 * second);
  t.is(keepalives() - before, 3);
});
