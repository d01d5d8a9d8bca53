import { randomBytes } from 'node:crypto';
import { type FakeClock, fakeClock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { type ChannelEnd, MemberChannel } from '../../session/member-channel.ts';
import type { Channel } from '../../wire/messages/attach.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import { ChannelDesk, type ChannelLink } from '../channel-desk.ts';

/** A packet that crossed the wire of a {@link ChannelWorld}. */
export interface SeenPacket {
  readonly packet: Buffer;
  readonly peer: PacketPeer;
}

/** A member's side in a {@link ChannelWorld}: its link, one channel at a time, and where its places are seen from. */
export class ChannelWorldMember implements ChannelLink {
  readonly identity;
  readonly secret = randomBytes(32);
  readonly told: Channel[] = [];
  readonly ups: PacketPeer[] = [];
  readonly echoes: { place: number; id: number; atMs: number }[] = [];
  readonly rebounds: { from: PacketPeer; to: PacketPeer }[] = [];
  readonly downs: { why: ChannelEnd; code: ErrorCode | undefined }[] = [];
  /** Where packets from a place come from; what the server sends elsewhere is lost. */
  readonly places = new Map<number, PacketPeer>();
  /** CHANNEL messages do not arrive. */
  deaf = false;
  channel: MemberChannel;
  private readonly world: ChannelWorld;

  constructor(world: ChannelWorld, key: string) {
    this.world = world;
    this.identity = { key, role: 'mediator', name: key, instance: 'aa', linkNo: 1 } as const;
    this.channel = this.fresh();
  }

  /** A new channel on this link, not offered yet. */
  fresh(): MemberChannel {
    const { clock, desk } = this.world;
    return new MemberChannel({
      clock,
      random: () => 1,
      secret: this.secret,
      say: message => desk.onMessage(this, message),
      send: (place, packet) => this.world.toServer(packet, this.placeOf(place)),
      keepaliveMs: () => 25_000,
      onUp: observed => this.ups.push(observed),
      onEcho: (place, id) => this.echoes.push({ place, id, atMs: clock.now() }),
      onRebound: (from, to) => this.rebounds.push({ from, to }),
      onDown: (why, code) => this.downs.push({ why, code }),
    });
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
    return this.places.get(place) ?? { address: '203.0.113.5', number: 40_000 + place };
  }
}

/** The server's desk and members' channels on one clock, with the wire between them in the open. */
export class ChannelWorld {
  readonly clock: FakeClock = fakeClock();
  readonly desk: ChannelDesk;
  readonly members: ChannelWorldMember[] = [];
  readonly fromMembers: SeenPacket[] = [];
  readonly fromServer: SeenPacket[] = [];
  /** Nothing from members arrives. */
  blocked = false;

  constructor() {
    this.desk = new ChannelDesk({ clock: this.clock, send: (packet, peer) => this.toMembers(packet, peer) });
  }

  /** A member, its channel not offered yet. */
  member(key = 'home-1'): ChannelWorldMember {
    const made = new ChannelWorldMember(this, key);
    this.members.push(made);
    return made;
  }

  /** A member whose channel is up. */
  upMember(key?: string): ChannelWorldMember {
    const made = this.member(key);
    made.channel.start();
    this.clock.advance(100);
    return made;
  }

  /** A packet on its way to the server. */
  toServer(packet: Buffer, peer: PacketPeer): void {
    this.fromMembers.push({ packet, peer });
    if (!this.blocked) this.clock.after(10, () => this.desk.onPacket(packet, peer));
  }

  private toMembers(packet: Buffer, peer: PacketPeer): void {
    this.fromServer.push({ packet, peer });
    this.clock.after(10, () => {
      for (const member of this.members)
        for (let place = 0; place < 12; place += 1) {
          const { address, number } = member.placeOf(place);
          if (address === peer.address && number === peer.number) member.channel.onPacket(place, packet);
        }
    });
  }
}
