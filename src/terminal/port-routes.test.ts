import test from 'ava';
import { type FakeClock, fakeClock } from '../base/clock.ts';
import { RelayHub } from '../relay/relay-hub.ts';
import { ScriptRelay } from '../relay/script-relay.ts';
import { deafRelayHandlers, MemoryNetwork } from '../relay/testing/memory-network.ts';
import type { Portroute } from '../wire/messages/attach.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { PortRoutes } from './port-routes.ts';

const cid = 0xbeef;
const device: PacketPeer = { address: '192.168.1.20', number: 5060 };
const server: PacketPeer = { address: '192.0.2.1', number: 8443 };
const key = (byte: number) =>
  ({ suite: 'chacha20-poly1305', key: Buffer.alloc(32, byte), iv: Buffer.alloc(12, byte) }) as const;

/** A terminal's routes, and in place of server and mediator a relay that has the other end of the channel. */
class World {
  readonly clock: FakeClock = fakeClock();
  readonly network = new MemoryNetwork({ clock: this.clock });
  readonly said: Omit<Portroute, 'label'>[] = [];
  readonly byTcp: string[] = [];
  readonly byUdp: string[] = [];
  readonly delivered: string[] = [];
  readonly far: ScriptRelay;
  readonly routes: PortRoutes;
  cid: number | undefined = cid;
  private readonly hub: RelayHub;
  private readonly watchers = new Set<() => void>();

  constructor() {
    const { clock, network } = this;
    const sockets = network.host('203.0.113.6');
    this.hub = new RelayHub(handlers => new ScriptRelay({ clock, handlers, sockets }));
    const onDatagram = (_cid: number, _route: number, _peer: PacketPeer, bytes: Buffer) =>
      void this.byUdp.push(String(bytes));
    const handlers = { ...deafRelayHandlers, onDatagram };
    this.far = new ScriptRelay({ clock, handlers, sockets: network.host(server.address) });
    const world = this;
    const channels = {
      get cid() {
        return world.cid;
      },
      isTrying: false,
      ownChannel: () => undefined,
      watch: (watcher: () => void) => {
        this.watchers.add(watcher);
        return () => void this.watchers.delete(watcher);
      },
    };
    this.routes = new PortRoutes({
      clock,
      udp: { hub: this.hub, channels },
      sendPortroute: message => this.said.push(message),
      sendByTcp: one => this.byTcp.push('mark' in one ? 'mark' : String(one.bytes)),
      deliver: ({ bytes }) => this.delivered.push(String(bytes)),
    });
  }

  /** A world whose channel is up, and whose port 7 has the route 70. */
  static async routed(): Promise<World> {
    const world = new World();
    const { far, hub } = world;
    const { relay } = hub;
    const farDoor = await far.openServiceDoor(server.address, server.number);
    const own = { address: '203.0.113.6', number: 40_000 };
    relay.addChannel(cid, { epoch: 0, sealKey: key(1), openKey: key(2) });
    relay.setPath(cid, { door: relay.openMemberDoor(server), peer: server, packetBytes: 1200 });
    far.addChannel(cid, { epoch: 0, sealKey: key(2), openKey: key(1) });
    far.setPath(cid, { door: farDoor, peer: own, packetBytes: 1200 });
    far.bindRoute(cid, 70, 'script');
    world.routes.want(7, true);
    world.routes.onPortroute({ label: 3, port: 7, step: 'make', route: 70 });
    return world;
  }

  made(): void {
    this.routes.onPortroute({ label: 3, port: 7, step: 'made', route: 70 });
  }

  send(text: string): void {
    const { address: peerAddress, number: peerNumber } = device;
    this.routes.send({ port: 7, peerAddress, peerNumber, bytes: Buffer.from(text) });
  }

  /** The mediator sends by UDP, or by the TCP channel. */
  fromMediator(text: string): void {
    this.far.sendDatagram(cid, 70, device, Buffer.from(text));
  }
  fromMediatorByTcp(text: string): void {
    const { address: peerAddress, number: peerNumber } = device;
    this.routes.onTcpDatagram({ port: 7, peerAddress, peerNumber, bytes: Buffer.from(text) });
  }

  /** The channel has gone, or come. */
  setChannel(now: number | undefined): void {
    this.cid = now;
    for (const watcher of [...this.watchers]) watcher();
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    // The relay tells what a call led to a microtask later.
    await Promise.resolve();
    await Promise.resolve();
  }
}

test('P7.7: what is sent before the route is made goes by TCP, then a mark, then UDP', async t => {
  const world = await World.routed();
  t.like(world.said[0], { port: 7, step: 'made', cid });
  world.send('one');
  world.made();
  world.send('two');
  await world.pass(100);
  t.deepEqual([world.byTcp, world.byUdp], [['one', 'mark'], ['two']]);
  t.is(world.routes.carrierOf(7), 'udp');
});

test('P7.7: what comes by UDP waits for the mark, behind all that came by the TCP channel', async t => {
  const world = await World.routed();
  world.made();
  world.fromMediator('b');
  await world.pass(50);
  t.deepEqual(world.delivered, []);
  world.fromMediatorByTcp('a');
  world.routes.onMark(7);
  await world.pass(1);
  world.fromMediator('c');
  await world.pass(50);
  t.deepEqual(world.delivered, ['a', 'b', 'c']);
});

test('P7.7: back to TCP: a mark before the next datagram, and what is late by UDP still comes first', async t => {
  const world = await World.routed();
  world.made();
  world.routes.onMark(7);
  world.routes.forget(7);
  world.send('by tcp');
  t.deepEqual(world.byTcp, ['mark', 'mark', 'by tcp']);
  world.fromMediator('late');
  world.routes.onMark(7);
  world.fromMediatorByTcp('next');
  await world.pass(150);
  t.deepEqual(world.delivered, ['late', 'next']);
});

test('P5.5: with the channel the route is lost; TCP takes over, or nothing where there is no fallback', async t => {
  for (const mayUseTcp of [true, false]) {
    const world = await World.routed();
    world.routes.want(7, mayUseTcp);
    world.made();
    world.setChannel(undefined);
    world.send('x');
    t.is(world.routes.carrierOf(7), 'tcp');
    t.deepEqual(world.byTcp, mayUseTcp ? ['mark', 'x'] : ['mark']);
    t.is(world.routes.dropped, mayUseTcp ? 0 : 1);
    world.setChannel(cid);
    t.like(world.said.at(-1), { port: 7, step: 'make', cid }, 'and a route is wished for');
  }
});

test('P7.1: a port with a channel of its own has its route there, and the channel ends with the port', async t => {
  const world = await World.routed();
  world.made();
  const own = { cid: 0xfeed as number | undefined, isTrying: false, watch: () => () => {}, ended: 0 };
  const channel = { ...own, end: () => own.ended++ };
  world.routes.want(8, true, channel);
  world.routes.onPortroute({ label: 3, port: 8, step: 'make', route: 80 });
  t.like(world.said.at(-1), { port: 8, step: 'made', cid: 0xfeed });
  world.routes.onPortroute({ label: 3, port: 8, step: 'made', route: 80 });
  channel.cid = undefined;
  world.setChannel(cid);
  t.deepEqual([world.routes.carrierOf(7), world.routes.carrierOf(8)], ['udp', 'tcp']);
  channel.cid = 0xbead;
  world.setChannel(cid);
  t.like(world.said.at(-1), { port: 8, step: 'make', cid: 0xbead });
  world.routes.forget(8);
  t.is(own.ended, 0, 'what is late still comes');
  await world.pass(1_000);
  t.is(own.ended, 1);
});

test('P7.2: without a channel a route is refused; PORTROUTE of ports that are not there is ignored', t => {
  const world = new World();
  world.cid = undefined;
  world.routes.onPortroute({ label: 3, port: 7, step: 'make', route: 70 });
  t.like(world.said[0], { port: 7, step: 'refuse' });
  world.routes.onPortroute({ label: 3, port: 8, step: 'made', route: 70 });
  world.routes.onPortroute({ label: 3, port: 8, step: 'withdraw' });
  world.routes.onMark(8);
  t.is(world.routes.carrierOf(8), 'tcp');
});

test('P7.5: what two packets do not hold goes by the TCP channel', async t => {
  const world = await World.routed();
  world.made();
  world.send('x'.repeat(2_300));
  world.send('y'.repeat(4_000));
  await world.pass(100);
  t.deepEqual(
    [world.byUdp, world.byTcp.slice(1)].map(texts => texts.map(({ length }) => length)),
    [[2_300], [4_000]],
  );
});

test('P7.4: when the label is gone datagrams go on by UDP, both ways, whether the mark has come or not', async t => {
  const world = await World.routed();
  world.made();
  world.routes.onLabelGone();
  world.send('out');
  world.fromMediator('in');
  await world.pass(50);
  t.deepEqual([world.byUdp, world.delivered], [['out'], ['in']]);
  world.routes.onLabelBack();
  t.like(world.said.at(-1), { port: 7, step: 'made', cid });
  world.routes.onPortroute({ label: 5, port: 7, step: 'withdraw' });
  world.send('no route');
  t.is(world.byTcp.at(-1), 'no route');
});

test('P7.2: a route that is not made yet ends with its label, and a port that is wanted stays so', async t => {
  const world = await World.routed();
  world.routes.onLabelGone();
  world.made();
  world.send('x');
  t.is(world.byTcp.at(-1), 'x');
  world.routes.onLabelBack();
  t.is(world.said.length, 1, 'there is nothing to tell');
  world.routes.end();
  world.setChannel(undefined);
  world.setChannel(cid);
  t.not(world.said.at(-1)?.step, 'make');
});

test('what the mediator says of the channel counts from before anybody watches the port, until it is moved back', t => {
  const { routes } = new World();
  t.is(routes.inForce(7, 'tcp'), 'tcp');
  routes.onCarrier(7, 'udp');
  t.is(routes.inForce(7, 'tcp'), 'udp');
  t.is(routes.inForce(8, 'none'), 'none');
  routes.forget(7);
  t.is(routes.inForce(7, 'tcp'), 'tcp');
});
