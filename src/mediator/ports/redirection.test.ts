import test from 'ava';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import { RelayHub } from '../../relay/relay-hub.ts';
import { ScriptRelay } from '../../relay/script-relay.ts';
import { MemoryNetwork } from '../../relay/testing/memory-network.ts';
import type { Portroute } from '../../wire/messages/attach.ts';
import type { Carrier } from '../../wire/messages/shared.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import { type Fallback, Redirection } from './redirection.ts';

const cid = 0xc0ffee;
const device: PacketPeer = { address: '192.168.1.20', number: 5060 };
const server: PacketPeer = { address: '192.0.2.1', number: 8443 };
const key = (byte: number) =>
  ({ suite: 'aes-128-gcm', key: Buffer.alloc(16, byte), iv: Buffer.alloc(12, byte) }) as const;

/**
 * A redirected port 7 of a mediator, the device on its LAN, and in place of server and terminal a relay that has the
 * other end of the channel. Everything that would go by the TCP channel is written down.
 */
class World {
  readonly clock: FakeClock = fakeClock();
  readonly network = new MemoryNetwork({ clock: this.clock });
  readonly said: Omit<Portroute, 'label'>[] = [];
  /** By the TCP channel: marks and datagrams in their order; by UDP what the far end has got. */
  readonly byTcp: string[] = [];
  readonly byUdp: string[] = [];
  readonly atDevice: string[] = [];
  readonly carriers: Carrier[] = [];
  first: Carrier | undefined;
  channelIsUp = true;
  /** How often the port has left its channel for good. */
  left = 0;
  labelIsThere = true;
  readonly redirection: Redirection;
  readonly far: ScriptRelay;
  private readonly hub: RelayHub;
  private readonly watchers = new Set<() => void>();
  private readonly devicePort: number;

  constructor(fallback: Fallback = 'tcp', channelIsUp = true) {
    const { clock, network } = this;
    this.channelIsUp = channelIsUp;
    const home = network.host('192.168.1.1');
    this.hub = new RelayHub(handlers => new ScriptRelay({ clock, handlers, sockets: home }));
    const port = this.hub.relay.addPort(7000, { family: 4, approve: true });
    this.hub.relay.approve(port, device);
    this.hub.listenToPort(port, {
      onDatagram: (_peer, bytes) => this.byTcp.push(String(bytes)),
      onUnapproved: ({ address }) => this.byTcp.push(`asked about ${address}`),
      onUnreachable: () => {},
    });
    const toTest = (bytes: Buffer) => this.byUdp.push(String(bytes));
    const onArrival = (bytes: Buffer) => this.atDevice.push(String(bytes));
    const nothing = () => {};
    this.far = new ScriptRelay({
      clock,
      sockets: network.host(server.address),
      handlers: {
        onControl: nothing,
        onElsewhere: nothing,
        onDatagram: (_cid, _route, _peer, bytes) => toTest(bytes),
        onPortDatagram: nothing,
        onUnapproved: nothing,
        onOversize: nothing,
        onUnreachable: nothing,
        onSpent: nothing,
        onIdle: nothing,
      },
    });
    const lan = new ScriptRelay({
      clock,
      sockets: network.host(device.address),
      handlers: {
        onControl: nothing,
        onElsewhere: nothing,
        onDatagram: nothing,
        onPortDatagram: (_port, _peer, bytes) => onArrival(bytes),
        onUnapproved: nothing,
        onOversize: nothing,
        onUnreachable: nothing,
        onSpent: nothing,
        onIdle: nothing,
      },
    });
    this.devicePort = lan.addPort(device.number, { family: 4, approve: false });
    this.lan = lan;
    this.redirection = new Redirection({
      id: 7,
      port,
      hub: this.hub,
      clock,
      fallback,
      channels: this.channels,
      sendPortroute: message => {
        if (this.labelIsThere) this.said.push(message);
        return this.labelIsThere;
      },
      onLeft: () => this.left++,
      sendMark: () => this.byTcp.push('mark'),
      sendOversize: (_peer, bytes) => this.byTcp.push(`oversize ${bytes.length}`),
      onCarrier: carrier => this.carriers.push(carrier),
    });
    void this.redirection.firstCarrier.then(carrier => {
      this.first = carrier;
    });
  }

  private readonly lan: ScriptRelay;

  private get channels() {
    const world = this;
    return {
      get cid() {
        return world.channelIsUp ? cid : undefined;
      },
      get isTrying() {
        return !world.channelIsUp;
      },
      watch: (watcher: () => void) => {
        world.watchers.add(watcher);
        return () => void world.watchers.delete(watcher);
      },
    };
  }

  /** The two ends of the channel. */
  async join(): Promise<void> {
    const { relay } = this.hub;
    const farDoor = await this.far.openServiceDoor(server.address, server.number);
    const door = relay.openMemberDoor(server);
    const own = { address: '192.168.1.1', number: 40_000 };
    relay.addChannel(cid, { epoch: 0, sealKey: key(1), openKey: key(2) });
    relay.setPath(cid, { door, peer: server, packetBytes: 1200 });
    this.far.addChannel(cid, { epoch: 0, sealKey: key(2), openKey: key(1) });
    this.far.setPath(cid, { door: farDoor, peer: own, packetBytes: 1200 });
    this.far.bindRoute(cid, 7, 'script');
  }

  /** The channel comes up, or is lost. */
  setChannel(up: boolean): void {
    this.channelIsUp = up;
    if (!up) this.hub.relay.removeChannel(cid);
    for (const watcher of [...this.watchers]) watcher();
  }

  /** The device sends to the port. */
  fromDevice(text: string): void {
    this.lan.sendPlain(this.devicePort, { address: '192.168.1.1', number: 7000 }, Buffer.from(text));
  }

  /** The terminal sends by UDP. */
  fromTerminal(text: string): void {
    this.far.sendDatagram(cid, 7, device, Buffer.from(text));
  }

  /** The terminal sends by the TCP channel. */
  fromTerminalByTcp(text: string): void {
    this.redirection.inTurn(() => this.lanDirect(text));
  }

  private lanDirect(text: string): void {
    this.network.carry(Buffer.from(text), { address: '192.168.1.1', number: 7000 }, device);
  }

  pass(ms: number): void {
    this.clock.advance(ms);
  }
}

/** A world whose port goes over UDP. */
async function redirected(fallback?: Fallback): Promise<World> {
  const world = new World(fallback);
  await world.join();
  // The first make went before the channel was joined.
  world.setChannel(true);
  world.redirection.onPortroute({ label: 1, port: 7, step: 'refuse' });
  world.pass(10_000);
  world.redirection.onPortroute({ label: 1, port: 7, step: 'made', route: 7 });
  return world;
}

test('P7.7: to UDP: what came before is behind no mark, what comes after goes by UDP, the mark stands between', async t => {
  const world = new World();
  await world.join();
  world.redirection.onPortroute({ label: 1, port: 7, step: 'refuse' });
  world.fromDevice('one');
  world.pass(9_990);
  world.fromDevice('two');
  world.pass(10);
  world.redirection.onPortroute({ label: 1, port: 7, step: 'made', route: 7 });
  world.fromDevice('three');
  world.pass(100);
  t.deepEqual(world.byTcp, ['one', 'two', 'mark']);
  t.deepEqual(world.byUdp, ['three']);
});

test('P5.5: make names the channel, and EVENT says when UDP carries the port', async t => {
  const world = await redirected();
  t.like(world.said.at(-1), { port: 7, step: 'make', cid });
  t.deepEqual(world.carriers, ['udp']);
  t.is(world.first, 'tcp', 'RESULT said what was so then');
});

test('P7.7: what the terminal sends by UDP is held until its mark, and goes in order', async t => {
  const world = await redirected();
  world.fromTerminal('b');
  world.fromTerminal('c');
  world.pass(50);
  t.deepEqual(world.atDevice, []);
  world.fromTerminalByTcp('a');
  world.redirection.onMark();
  world.pass(50);
  t.deepEqual(world.atDevice, ['a', 'b', 'c']);
});

test('P7.7: a mark that does not come is waited for 100 ms', async t => {
  const world = await redirected();
  world.fromTerminal('b');
  world.pass(109);
  t.deepEqual(world.atDevice, []);
  world.pass(20);
  t.deepEqual(world.atDevice, ['b']);
});

test('P7.7: back: late packets go before what comes by the TCP channel, and the route is withdrawn after them', async t => {
  const world = await redirected();
  world.redirection.onMark();
  world.fromTerminal('late');
  world.redirection.onMark();
  world.fromTerminalByTcp('next');
  world.redirection.back();
  world.fromDevice('answer');
  world.pass(150);
  t.deepEqual(world.atDevice, ['late', 'next']);
  t.deepEqual(world.byTcp.slice(-2), ['mark', 'answer']);
  t.not(world.said.at(-1)?.step, 'withdraw');
  world.pass(500);
  t.like(world.said.at(-1), { port: 7, step: 'withdraw' });
});

test('P5.5: a lost channel: with `tcp` datagrams go on over TCP at once, with `none` nothing goes; each is told', async t => {
  for (const fallback of ['tcp', 'none'] as const) {
    const world = await redirected(fallback);
    world.pass(100);
    world.setChannel(false);
    const before = world.byTcp.length;
    world.fromDevice('still there');
    world.pass(100);
    t.deepEqual(world.byTcp.slice(before), fallback === 'tcp' ? ['still there'] : []);
    t.deepEqual(world.carriers, ['udp', fallback]);
  }
});

test('P5.5: it asks again when the channel is back, every 10 s, and when the terminal wishes', async t => {
  const world = await redirected();
  const makes = () => world.said.filter(({ step }) => step === 'make').length;
  world.redirection.onPortroute({ label: 1, port: 7, step: 'withdraw' });
  const before = makes();
  world.redirection.onPortroute({ label: 1, port: 7, step: 'make' });
  t.is(makes(), before + 1, 'a wish');
  world.redirection.onPortroute({ label: 1, port: 7, step: 'refuse' });
  world.pass(10_000);
  t.is(makes(), before + 2, 'after a while');
  world.setChannel(false);
  world.pass(60_000);
  t.is(makes(), before + 2, 'without a channel there is nothing to ask for');
  world.setChannel(true);
  t.is(makes(), before + 3, 'the channel is back');
});

test('P7.4: without a label datagrams go on by UDP, and the next label is asked for no other route', async t => {
  const world = await redirected();
  world.labelIsThere = false;
  world.redirection.onAway();
  world.fromDevice('on');
  world.far.sendDatagram(cid, 7, device, Buffer.from('back'));
  world.pass(30_000);
  t.is(world.byUdp.at(-1), 'on');
  t.is(world.atDevice.at(-1), 'back');
  t.deepEqual(world.carriers, ['udp']);
  world.labelIsThere = true;
  const before = world.said.length;
  world.redirection.onBack();
  world.pass(60_000);
  t.deepEqual(world.said.slice(before), [{ port: 7, step: 'made', cid }]);
});

test('P7.2: where the server has the route no more it is made again at once', async t => {
  const world = await redirected();
  world.redirection.onAway();
  world.redirection.onBack();
  world.redirection.onPortroute({ label: 1, port: 7, step: 'withdraw' });
  t.like(world.said.at(-1), { port: 7, step: 'make', cid });
});

test('P7.2: what was only asked for ends with its label, and is asked for on the next', async t => {
  const world = new World();
  await Promise.resolve();
  t.like(world.said.at(-1), { step: 'make' });
  world.redirection.onAway();
  const before = world.said.length;
  world.redirection.onBack();
  t.like(world.said[before], { step: 'make', cid });
});

test('P5.5: RESULT waits 2 s for a channel that is on its way, and then says what is in force', async t => {
  const world = new World('none', false);
  await Promise.resolve();
  t.is(world.first, undefined);
  world.pass(2_000);
  await Promise.resolve();
  t.is(world.first, 'none');
});

test('P7.5: what two packets do not hold goes by the TCP channel', async t => {
  const world = await redirected();
  world.pass(100);
  world.fromDevice('x'.repeat(2_300));
  world.fromDevice('y'.repeat(4_000));
  world.pass(100);
  // The relay tells upcalls that a call led to a microtask later.
  await Promise.resolve();
  t.is(world.byUdp.at(-1)?.length, 2_300);
  t.is(world.byTcp.at(-1), 'oversize 4000');
});

test('P5.9: a peer that is not approved is asked about, and not sent to', async t => {
  const world = await redirected();
  world.redirection.onMark();
  world.far.sendDatagram(cid, 7, { address: '192.168.1.99', number: 9 }, Buffer.from('probe'));
  world.pass(100);
  t.true(world.byTcp.includes('asked about 192.168.1.99'));
  t.deepEqual(world.atDevice, []);
});

test('CLOSE withdraws the route at once, and the channel is free', async t => {
  const world = await redirected();
  t.is(world.left, 0);
  world.redirection.close();
  t.is(world.left, 1);
  t.like(world.said.at(-1), { port: 7, step: 'withdraw' });
});
