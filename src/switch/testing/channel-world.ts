import { randomBytes } from 'node:crypto';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { DoorId, Relay } from '../../relay/relay.ts';
import { ScriptRelay } from '../../relay/script-relay.ts';
import { deafRelayHandlers, type MemoryHost, MemoryNetwork } from '../../relay/testing/memory-network.ts';
import type { ChannelPackets } from '../../session/channel-packets.ts';
import { MemberChannel } from '../../session/member-channel.ts';
import type { ChannelEnd } from '../../session/member-channel-options.ts';
import type { Channel } from '../../wire/messages/attach.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import { packetSuites } from '../../wire/packet-key.ts';
import { ChannelDesk, type ChannelLink } from '../channel-desk.ts';

/** A packet that crossed the wire of a {@link ChannelWorld}. */
export interface SeenPacket {
  readonly packet: Buffer;
  readonly peer: PacketPeer;
}

/** Where the server of a {@link ChannelWorld} is. */
export const worldServer: PacketPeer = { address: '192.0.2.1', number: 8443 };

/** A member's side in a {@link ChannelWorld}: its link, its channels, and where its places are seen from. */
export class ChannelWorldMember implements ChannelLink {
  readonly identity;
  readonly secret = randomBytes(32);
  readonly told: Channel[] = [];
  readonly ups: PacketPeer[] = [];
  readonly echoes: { place: number; id: number; atMs: number }[] = [];
  readonly rebounds: { from: PacketPeer; to: PacketPeer }[] = [];
  readonly datagrams: { route: number; peer: PacketPeer; text: string }[] = [];
  readonly downs: { why: ChannelEnd; code: ErrorCode | undefined }[] = [];
  /** Where packets from a place come from; what the server sends elsewhere is lost. */
  readonly places = new Map<number, PacketPeer>();
  readonly relay: Relay;
  /** CHANNEL messages do not arrive. */
  deaf = false;
  channel: MemberChannel;
  private readonly address: string;
  private readonly world: ChannelWorld;
  private readonly host: MemoryHost;
  private readonly doors = new Map<number, DoorId>();

  constructor(world: ChannelWorld, key: string) {
    this.address = key === 'desk' ? '203.0.113.6' : '203.0.113.5';
    this.world = world;
    this.identity = { key, role: 'mediator', name: key, instance: 'aa', linkNo: 1 } as const;
    this.host = world.network.host('10.0.0.2');
    // A place's number is 40,000 more than the place; the NAT shows it as the test says.
    this.host.seenAs = ({ number }) => this.placeOf(number - 40_000);
    this.relay = new ScriptRelay({
      clock: world.clock,
      sockets: this.host,
      handlers: {
        ...deafRelayHandlers,
        onControl: (_cid, door, _from, body) => {
          for (const [place, known] of this.doors) if (known === door) this.channel.onControl(place, body);
        },
        onSpent: () => this.channel.onSpent(),
        onDatagram: (_cid, route, peer, bytes) =>
          this.datagrams.push({ route, peer, text: bytes.toString() }),
      },
    });
    this.channel = this.fresh();
  }

  /** The door of the channel's own place. */
  get ownDoor(): DoorId {
    return this.doorOf(0);
  }

  private doorOf(place: number): DoorId {
    const known = this.doors.get(place);
    if (known !== undefined) return known;
    this.host.nextNumber = 40_000 + place;
    const door = this.relay.openMemberDoor(worldServer);
    this.doors.set(place, door);
    return door;
  }

  /** A new channel on this link, not offered yet. */
  fresh(): MemberChannel {
    const { clock, desk } = this.world;
    return new MemberChannel({
      clock,
      random: () => 1,
      secret: () => this.secret,
      say: message => desk.onMessage(this, message),
      packets: this.packets,
      askLink: () => this.world.linkBytes++,
      suites: packetSuites,
      server: worldServer,
      onSize: () => this.setPath(),
      keepaliveMs: () => 25_000,
      onUp: observed => {
        this.ups.push(observed);
        this.setPath();
      },
      onEcho: (place, id) => this.echoes.push({ place, id, atMs: clock.now() }),
      onSeen: () => {},
      onRebound: (from, to) => this.rebounds.push({ from, to }),
      onDown: (why, code) => this.downs.push({ why, code }),
    });
  }

  private setPath(): void {
    const { cid, packetBytes, bundleBytes } = this.channel;
    if (cid === undefined) return;
    this.relay.setPath(cid, { door: this.ownDoor, peer: worldServer, packetBytes, bundleBytes });
  }

  private get packets(): ChannelPackets {
    const { relay } = this;
    return {
      setsDf: relay.setsDf,
      add: (cid, keys) => relay.addChannel(cid, keys),
      addEpoch: (cid, keys) => relay.addEpoch(cid, keys, 'now'),
      remove: cid => relay.removeChannel(cid),
      send: (cid, place, body) => relay.sendControl(cid, this.doorOf(place), worldServer, body),
      received: cid => relay.channelCounters(cid)?.packetsIn ?? 0,
    };
  }

  /** The cid that the last `accept` said. */
  get cid(): number {
    return this.told.findLast(({ step }) => step === 'accept')?.cid ?? 0;
  }

  sendChannel(message: Channel): void {
    this.told.push(message);
    if (!this.deaf) this.channel.onMessage(message);
  }

  channelSecret(): Buffer {
    return this.secret;
  }

  placeOf(place: number): PacketPeer {
    return this.places.get(place) ?? { address: this.address, number: 40_000 + place };
  }
}

/** The server's desk and members' channels on one clock, with the wire between them in the open. */
export class ChannelWorld {
  readonly clock: FakeClock = fakeClock();
  readonly network = new MemoryNetwork({ clock: this.clock });
  readonly relay: Relay;
  /** The cids of channels that are over. */
  readonly ended: number[] = [];
  /** Told of what comes to the server's script, and of what is too long to leave it. */
  onDatagram: (bytes: Buffer) => void = () => {};
  onOversize: (cid: number, route: number, peer: PacketPeer, bytes: Buffer) => void = () => {};
  /** Nothing from members arrives. */
  blocked = false;
  /** Bytes that have come on links: more each time that it is asked for, as where links are well. */
  linkBytes = 0;
  private made: ChannelDesk | undefined;

  private constructor() {
    const { clock, network } = this;
    this.relay = new ScriptRelay({
      clock,
      sockets: network.host(worldServer.address),
      handlers: {
        ...deafRelayHandlers,
        onControl: (cid, _door, from, body) => this.desk.onControl(cid, from, body),
        onElsewhere: (cid, _door, from) => this.desk.onElsewhere(cid, from),
        onDatagram: (_cid, _route, _peer, bytes) => this.onDatagram(bytes),
        onOversize: (cid, route, peer, bytes) => this.onOversize(cid, route, peer, bytes),
      },
    });
    network.loses = ({ to }) => this.blocked && to.address === worldServer.address;
  }

  /** A world without members. `setsDf`: its relays seek the size of paths. */
  static async make({ setsDf = false } = {}): Promise<ChannelWorld> {
    const world = new ChannelWorld();
    world.network.setsDf = setsDf;
    const { clock, relay } = world;
    const door = await relay.openServiceDoor(worldServer.address, worldServer.number);
    world.made = new ChannelDesk({ clock, relay, door, onEnded: cid => world.ended.push(cid) });
    return world;
  }

  /** Where the server is. */
  get serverPeer(): PacketPeer {
    return worldServer;
  }

  get desk(): ChannelDesk {
    if (this.made === undefined) throw new Error('the world is not there yet');
    return this.made;
  }

  private seen(isFromServer: boolean): SeenPacket[] {
    const packets = this.network.sent.filter(
      ({ to }) => (to.address === worldServer.address) !== isFromServer,
    );
    return packets.map(({ bytes, from, to }) => ({ packet: bytes, peer: isFromServer ? to : from }));
  }

  /** What members have sent, and as whom they were seen. */
  get fromMembers(): SeenPacket[] {
    return this.seen(false);
  }

  /** What the server has sent, and to whom. */
  get fromServer(): SeenPacket[] {
    return this.seen(true);
  }

  /** A packet comes to the server from there, and nowhere else was it sent. */
  inject(packet: Buffer, from: PacketPeer): void {
    this.network.carry(packet, from, worldServer);
  }

  /** A member, its channel not offered yet. */
  member(key = 'home-1'): ChannelWorldMember {
    return new ChannelWorldMember(this, key);
  }

  /** A member whose channel is up. */
  upMember(key?: string): ChannelWorldMember {
    const made = this.member(key);
    made.channel.start();
    this.clock.advance(100);
    return made;
  }
}
