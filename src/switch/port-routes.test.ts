import test from 'ava';
import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { Verdict } from '../policy/verdict.ts';
import type { Frame } from '../wire/frame.ts';
import { type Portroute, portroute } from '../wire/messages/attach.ts';
import { decodeDatagram } from '../wire/messages/binary.ts';
import { frameType, headerBytes } from '../wire/spec.ts';
import { PortRouteDesk } from './port-routes.ts';
import { Route, type RouteLink } from './route.ts';
import { SwitchFigures } from './switch-figures.ts';
import { ChannelWorld, type ChannelWorldMember } from './testing/channel-world.ts';

const lan = { address: '192.168.1.20', number: 5060 };

/** One end of an attachment: its link, what was said on it, and its member's channel. */
class End implements RouteLink {
  readonly receivedBytes = 0;
  readonly roundTripMs = undefined;
  readonly said: Portroute[] = [];
  readonly member: ChannelWorldMember;

  constructor(member: ChannelWorldMember) {
    this.member = member;
  }

  wake(): void {}
  send(type: number, body: Uint8Array): void {
    if (type === frameType.portroute) this.said.push(portroute.fromBytes(Buffer.from(body)));
  }
  freeLabel(): void {}
  dropFrame(): void {}

  get last(): Portroute | undefined {
    return this.said.at(-1);
  }
}

async function world(mayRedirect: Verdict = { allowed: true }) {
  const channels = await ChannelWorld.make();
  const mediator = new End(channels.upMember('home-1'));
  const terminal = new End(channels.upMember('desk'));
  const parties = {
    terminal: 't',
    terminalName: 'desk',
    mediator: 'm',
    mediatorName: 'home-1',
    attachment: 'aa',
  };
  const permit = {
    grantId: 'g',
    deadlineMs: 1e12,
    authorise: () => mayRedirect,
    recheck: () => refusal.code,
  };
  const refusal: { code: ErrorCode | undefined } = { code: undefined };
  const creditBudget = { reserve: () => true, release: () => {} };
  const host = {
    creditBudget,
    figures: new SwitchFigures(),
    now: () => channels.clock.now(),
    onHeld: () => {},
    passCommand: (frame: Frame) => frame,
    onEnded: () => {},
    onDatagramsDropped: () => {},
  };
  /** One label after the other of the same attachment. */
  const label = (terminalLabel: number) => {
    const made = new Route(host, permit, parties, {
      terminal: { link: terminal, label: terminalLabel },
      mediator: { link: mediator, label: terminalLabel + 1 },
    });
    made.goLive();
    return made;
  };
  const route = label(3);
  const isUpOf = (cid: number, link: object) => link instanceof End && channels.desk.isUpOf(cid, link.member);
  const desk = new PortRouteDesk({ clock: channels.clock, relay: channels.relay, isUpOf });
  channels.onOversize = (...args) => desk.onOversize(...args);
  const fromMediator = (message: Omit<Portroute, 'label'>) =>
    desk.onMessage(route.mediatorEnd, { label: 4, ...message });
  const fromTerminal = (message: Omit<Portroute, 'label'>) =>
    desk.onMessage(route.terminalEnd, { label: 3, ...message });
  return { channels, mediator, terminal, route, desk, fromMediator, fromTerminal, label, refusal };
}

/** A world with a route for port 7. */
async function routed() {
  const made = await world();
  const { mediator, terminal, fromMediator, fromTerminal } = made;
  fromMediator({ port: 7, step: 'make', cid: mediator.member.cid });
  const number = terminal.last?.route ?? 0;
  terminal.member.relay.bindRoute(terminal.member.cid, number, 'script');
  fromTerminal({ port: 7, step: 'made', cid: terminal.member.cid });
  const { relay, cid } = mediator.member;
  relay.setPath(cid, { door: mediator.member.ownDoor, peer: made.channels.serverPeer, packetBytes: 1200 });
  return { ...made, number };
}

test('P7.2: make is asked of the terminal under a number of its own, and made is told to both', async t => {
  const { mediator, terminal, number } = await routed();
  t.deepEqual(terminal.said, [
    { label: 3, port: 7, step: 'make', route: number },
    { label: 3, port: 7, step: 'made', route: number },
  ]);
  t.deepEqual(mediator.said, [{ label: 4, port: 7, step: 'made', route: 7 }]);
});

test('P7.2: a datagram of the mediator arrives at the terminal under the terminal’s number', async t => {
  const { channels, mediator, terminal, number } = await routed();
  const { relay, cid } = mediator.member;
  relay.sendDatagram(cid, 7, lan, Buffer.from('invite'));
  channels.clock.advance(100);
  t.deepEqual(
    terminal.member.datagrams.map(({ route, peer, text }) => [route, peer, text]),
    [[number, lan, 'invite']],
  );
});

test('P7.5: a datagram that the terminal’s path has no room for goes on in the TCP channel', async t => {
  const { channels, mediator, terminal, route } = await routed();
  const { relay, cid, ownDoor } = mediator.member;
  relay.setPath(cid, { door: ownDoor, peer: channels.serverPeer, packetBytes: 1472 });
  const long = Buffer.alloc(2_500, 'x');
  relay.sendDatagram(cid, 7, lan, long);
  channels.clock.advance(100);
  t.is(terminal.member.datagrams.length, 0);
  const frame = route.terminalEnd.queue.takeData();
  if (frame === undefined) return t.fail('nothing waits for the terminal');
  t.deepEqual([frame[0], frame.readUInt32BE(4) & 0xffffff], [frameType.datagram, 3]);
  t.deepEqual(decodeDatagram(frame.subarray(headerBytes)), {
    port: 7,
    peerAddress: lan.address,
    peerNumber: lan.number,
    bytes: long,
  });
  t.is(route.mediatorEnd.queue.takeData(), undefined);
});

test('P7.2: after withdraw, the end of the attachment or of a channel nothing is swapped any more', async t => {
  for (const how of ['withdraw', 'route', 'channel'] as const) {
    const { channels, mediator, terminal, desk, route, fromTerminal } = await routed();
    if (how === 'withdraw') fromTerminal({ port: 7, step: 'withdraw' });
    else if (how === 'route') desk.onRouteEnded(route, 'detached');
    else desk.onChannelEnded(terminal.member.cid);
    const { relay, cid } = mediator.member;
    relay.sendDatagram(cid, 7, lan, Buffer.from('late'));
    channels.clock.advance(100);
    t.is(terminal.member.datagrams.length, 0, how);
    t.is(desk.size, 0, how);
    t.is(mediator.last?.step, how === 'route' ? 'made' : 'withdraw', how);
    t.is(terminal.last?.step, how === 'channel' ? 'withdraw' : 'made', how);
  }
});

test('P7.2: a channel of somebody else, one that is not up, and none are refused', async t => {
  const { mediator, terminal, fromMediator, fromTerminal } = await world();
  fromMediator({ port: 7, step: 'make', cid: terminal.member.cid });
  t.like(mediator.last, { step: 'refuse', reason: errorNumber('unreachable') });
  fromMediator({ port: 7, step: 'make' });
  t.like(mediator.last, { step: 'refuse', reason: errorNumber('bad-request') });
  t.is(terminal.said.length, 0);
  fromMediator({ port: 7, step: 'make', cid: mediator.member.cid });
  fromTerminal({ port: 7, step: 'made', cid: mediator.member.cid });
  t.like(mediator.last, { step: 'refuse', reason: errorNumber('unreachable') });
});

test('P5.8: the server asks its permit about `redirect` before a route is made', async t => {
  const denial = {
    allowed: false,
    code: 'not-permitted',
    by: 'grant',
    field: 'commands',
    message: 'No.',
  } as const;
  const { mediator, terminal, fromMediator } = await world(denial);
  fromMediator({ port: 7, step: 'make', cid: mediator.member.cid });
  t.like(mediator.last, { step: 'refuse', reason: errorNumber('not-permitted') });
  t.is(terminal.said.length, 0);
});

test('P7.2: what the terminal refuses the mediator hears; its wish is passed on', async t => {
  const { mediator, fromMediator, fromTerminal } = await world();
  fromMediator({ port: 7, step: 'make', cid: mediator.member.cid });
  fromTerminal({ port: 7, step: 'refuse', reason: errorNumber('unreachable') });
  t.like(mediator.last, { step: 'refuse', reason: errorNumber('unreachable') });
  fromTerminal({ port: 7, step: 'make', cid: 1 });
  t.deepEqual(mediator.last, { label: 4, port: 7, step: 'make' });
});

test('a terminal makes no routes: what it says of ports that nobody asked for is ignored', async t => {
  const { mediator, terminal, desk, fromTerminal } = await world();
  fromTerminal({ port: 9, step: 'made', cid: terminal.member.cid });
  fromTerminal({ port: 9, step: 'refuse' });
  fromTerminal({ port: 9, step: 'withdraw' });
  t.deepEqual([mediator.said.length, desk.size], [0, 0]);
  t.deepEqual(
    terminal.said.map(({ step }) => step),
    ['withdraw'],
    'but that it has one',
  );
});

/** A world with a route whose label has been lost with a link. */
async function orphaned() {
  const made = await routed();
  const { channels, mediator, terminal, route, desk } = made;
  route.endFrom('mediator', 'unrouted', 'link-lost');
  desk.onRouteEnded(route, 'link-lost');
  /** How many of so many datagrams arrive at the terminal. */
  const arriving = (count: number) => {
    const { relay, cid } = mediator.member;
    const before = terminal.member.datagrams.length;
    for (let index = 0; index < count; index++) relay.sendDatagram(cid, 7, lan, Buffer.from(`${index}`));
    channels.clock.advance(100);
    return terminal.member.datagrams.length - before;
  };
  return { ...made, arriving };
}

test('P7.4: routes outlive a link that is lost, and are the next label’s without a word', async t => {
  const { channels, desk, label, arriving, mediator, terminal } = await orphaned();
  t.is(arriving(50), 50);
  const said = [mediator.said.length, terminal.said.length];
  const next = label(5);
  desk.onRouteLive(next);
  channels.clock.advance(200_000);
  t.is(arriving(50), 50);
  const { cid } = mediator.member;
  desk.onMessage(next.mediatorEnd, { label: 6, port: 7, step: 'made', cid });
  desk.onMessage(next.terminalEnd, { label: 5, port: 7, step: 'made', cid: terminal.member.cid });
  t.deepEqual([mediator.said.length, terminal.said.length], said);
  desk.onMessage(next.terminalEnd, { label: 5, port: 7, step: 'withdraw' });
  t.is(arriving(1), 0);
  t.like(mediator.last, { label: 6, port: 7, step: 'withdraw' });
});

test('P7.2: a terminal that has lost its channel while it was away has another route made', async t => {
  const { desk, label, arriving, mediator, terminal } = await orphaned();
  const next = label(5);
  desk.onRouteLive(next);
  const { cid } = terminal.member;
  desk.onMessage(next.terminalEnd, { label: 5, port: 7, step: 'make', cid });
  t.deepEqual(
    mediator.said.slice(-2).map(({ step }) => step),
    ['withdraw', 'make'],
  );
  t.is(arriving(1), 0);
  desk.onMessage(next.mediatorEnd, { label: 6, port: 7, step: 'make', cid: mediator.member.cid });
  t.like(terminal.last, { label: 5, port: 7, step: 'make' });
});

test('P7.4: without a label they end after 120 s, and who has one still is told so', async t => {
  const { channels, desk, label, arriving, mediator } = await orphaned();
  channels.clock.advance(119_000);
  t.is(arriving(1), 1);
  channels.clock.advance(1_000);
  t.is(arriving(1), 0);
  const next = label(5);
  desk.onRouteLive(next);
  desk.onMessage(next.mediatorEnd, { label: 6, port: 7, step: 'made', cid: mediator.member.cid });
  t.like(mediator.last, { label: 6, port: 7, step: 'withdraw', reason: errorNumber('link-lost') });
});

test('P6.2: routes without a label end at once when the attachment is not allowed any more', async t => {
  const { desk, refusal, arriving } = await orphaned();
  desk.revalidate();
  t.is(arriving(1), 1);
  refusal.code = 'grant-revoked';
  desk.revalidate();
  t.is(arriving(1), 0);
  t.is(desk.size, 0);
});

test('P6.2: no route goes on that was forbidden by the time its link was lost, or whose channel is gone', async t => {
  const forbidden = await routed();
  forbidden.refusal.code = 'grant-revoked';
  forbidden.desk.onRouteEnded(forbidden.route, 'link-lost');
  t.is(forbidden.desk.size, 0);
  const { desk, terminal } = await orphaned();
  desk.onChannelEnded(terminal.member.cid);
  t.is(desk.size, 0);
});

test('an attachment has 1,024 routes at most', async t => {
  const { mediator, fromMediator } = await world();
  const { cid } = mediator.member;
  for (let port = 1; port <= 1024; port += 1) fromMediator({ port, step: 'make', cid });
  t.is(mediator.said.length, 0);
  fromMediator({ port: 1025, step: 'make', cid });
  t.like(mediator.last, { step: 'refuse', reason: errorNumber('limit') });
});
