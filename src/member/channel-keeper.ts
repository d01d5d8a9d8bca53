import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { DoorId } from '../relay/relay.ts';
import type { RelayHub } from '../relay/relay-hub.ts';
import type { ChannelPackets } from '../session/channel-packets.ts';
import { MemberChannel, ownPlace } from '../session/member-channel.ts';
import { type ChannelEnd, defaultRekeyPackets } from '../session/member-channel-options.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { PacketSuite } from '../wire/packet-key.ts';
import { ChannelUse } from './channel-use.ts';

/**
 * One UDP channel, offered over and over while it is wanted: at once where it was lost, after a pause where nothing
 * passes. Its sockets are doors of the relay, one a place.
 *
 *     idle --offer()--> trying --up--> up --lost--> trying ...
 *                         └--nothing passes--> blocked --after a while, if wanted--> trying
 */

/** A channel that fell silent is offered again after this long, twice as long each time, to the longest. */
const firstPauseMs = 1_000;
const longestPauseMs = 600_000;

/** Where UDP does not pass it is tried again after this long, while somebody waits for it: 60 s at most till it is back. */
const blockedPauseMs = 20_000;

/** How often it is looked whether a channel that is up is used, and whether that is answered. */
const lookEveryMs = 1_000;

/** Where keys are exchanged sooner than they need be, which is for tests, it is looked as often as that is to be seen. */
const soonLookEveryMs = 500;

/** The link and the server of now. */
export interface ChannelSession {
  readonly server: PacketPeer;
  readonly hub: RelayHub;
  /** Bytes that have come on the link so far; undefined when it is no more. Asks the other side to say something. */
  askLink(): number | undefined;
  /** 32 bytes of the link's session (P7.3). */
  secret(): Buffer;
}

/** What a keeper needs and tells. */
export interface ChannelKeeperOptions {
  readonly clock: Clock;
  /** Between 0 and 1. */
  random(): number;
  keepaliveMs(): number;
  /** Packets under one epoch's keys; default: as P7.3 has it. */
  readonly rekeyPackets?: number | undefined;
  /** Best first (P7.1). */
  suites(): readonly PacketSuite[];
  /** Somebody waits for UDP to pass. */
  isWanted(): boolean;
  /** Puts CHANNEL on the link of now; lost when there is none. */
  say(message: Channel): void;
  /** As {@link say}; the answer goes to that channel. */
  offer(channel: MemberChannel, message: Channel): void;
  onUp(observed: PacketPeer): void;
  /** {@link ChannelKeeper.packetBytes} has changed. */
  onSize(): void;
  onEcho(place: number, id: number): void;
  /** As what the server sees a spare place. */
  onSeen(place: number, as: PacketPeer): void;
  onRebound(from: PacketPeer, to: PacketPeer): void;
  /** The keys of that epoch are in use. */
  onRekeyed(epoch: number): void;
  onDown(why: ChannelEnd, code: ErrorCode | undefined): void;
}

/** Whether a channel can be used. */
export type KeeperState = 'idle' | 'trying' | 'up' | 'blocked';

/** See the head of this file. */
export class ChannelKeeper {
  private readonly options: ChannelKeeperOptions;
  private session: ChannelSession | undefined;
  private channel: MemberChannel | undefined;
  private readonly doors = new Map<number, DoorId>();
  private current: KeeperState = 'idle';
  private pauses = 0;
  private cancelRetry = () => {};
  private cancelLook = () => {};
  private use = new ChannelUse();

  constructor(options: ChannelKeeperOptions) {
    this.options = options;
  }

  /** See {@link KeeperState}. */
  get state(): KeeperState {
    return this.current;
  }

  /** The channel's cid while it is up. */
  get cid(): number | undefined {
    return this.channel?.up === true ? this.channel.cid : undefined;
  }

  /** The longest packet that is known to come through to the server, while the channel is up (P7.5). */
  get packetBytes(): number | undefined {
    return this.channel?.up === true ? this.channel.packetBytes : undefined;
  }

  /** Offers a channel on a new link, or to a new server; one that there was is no more. */
  begin(session: ChannelSession): void {
    this.end();
    this.session = session;
    this.pauses = 0;
    this.current = 'trying';
    this.offer(session);
  }

  /** There is a new link to the server that has the channel already: it goes on. */
  goOn(session: ChannelSession): void {
    this.session = session;
    if (this.channel?.onNewLink() === true) return;
    this.begin(session);
  }

  /** Somebody waits for UDP from now on. */
  onWanted(): void {
    if (this.current === 'blocked') this.retryAfter(0);
  }

  /** CHANNEL has come for its cid. */
  onMessage(message: Channel): void {
    this.channel?.onMessage(message);
  }

  /** Asks the server to speak to a place after a silence (P8.3). */
  ask(place: number, id: number, afterMs: number): void {
    this.channel?.ask(place, id, afterMs);
  }

  /** Asks the server as what it sees a spare place. */
  sight(place: number, id: number): void {
    this.channel?.sight(place, id);
  }

  /** The number that a place's packets leave from. */
  numberOf(place: number): number | undefined {
    const door = this.doors.get(place);
    return door === undefined ? undefined : this.session?.hub.relay.doorNumber(door);
  }

  /** A place is of no use any more. */
  drop(place: number): void {
    const door = this.doors.get(place);
    this.doors.delete(place);
    if (door !== undefined) this.session?.hub.relay.closeDoor(door);
  }

  /** Ends the channel, and its sockets. */
  end(): void {
    this.cancelRetry();
    this.cancelLook();
    const { channel } = this;
    this.channel = undefined;
    channel?.stop();
    for (const place of [...this.doors.keys()]) this.drop(place);
    this.session = undefined;
    this.current = 'idle';
  }

  private offer(session: ChannelSession): void {
    const { options } = this;
    const { clock, random, rekeyPackets } = options;
    const channel: MemberChannel = new MemberChannel({
      clock,
      random,
      secret: () => this.session?.secret() ?? Buffer.alloc(0),
      askLink: () => this.session?.askLink(),
      say: message => (message.step === 'offer' ? options.offer(channel, message) : options.say(message)),
      packets: this.packetsOf(session, () => channel),
      keepaliveMs: () => options.keepaliveMs(),
      suites: options.suites(),
      ...(rekeyPackets === undefined ? {} : { rekeyPackets }),
      server: session.server,
      onUp: observed => this.onUp(session, channel, observed),
      onSize: () => this.onSize(session, channel),
      onEcho: (place, id) => options.onEcho(place, id),
      onSeen: (place, as) => options.onSeen(place, as),
      onRebound: (from, to) => options.onRebound(from, to),
      onRekeyed: epoch => options.onRekeyed(epoch),
      onDown: (why, code) => this.onDown(why, code),
    });
    this.channel = channel;
    this.use = new ChannelUse();
    channel.start();
  }

  private packetsOf({ hub, server }: ChannelSession, channel: () => MemberChannel): ChannelPackets {
    const { relay } = hub;
    return {
      setsDf: relay.setsDf,
      add: (cid, keys) => {
        relay.addChannel(cid, keys);
        hub.listenToChannel(cid, {
          onControl: (door, _from, body) => {
            this.use.onControlIn();
            for (const [place, known] of this.doors) if (known === door) channel().onControl(place, body);
          },
          onSpent: () => channel().onSpent(),
        });
      },
      addEpoch: (cid, keys) => relay.addEpoch(cid, keys, 'now'),
      remove: cid => {
        hub.listenToChannel(cid, undefined);
        relay.removeChannel(cid);
      },
      send: (cid, place, body) => {
        this.use.onControlOut();
        relay.sendControl(cid, this.doorOf(place), server, body);
      },
      received: cid => relay.channelCounters(cid)?.packetsIn ?? 0,
    };
  }

  private doorOf(place: number): DoorId {
    const known = this.doors.get(place);
    if (known !== undefined || this.session === undefined) return known ?? 0;
    const { hub, server } = this.session;
    const door = hub.relay.openMemberDoor(server);
    this.doors.set(place, door);
    return door;
  }

  private onUp(session: ChannelSession, channel: MemberChannel, observed: PacketPeer): void {
    this.pauses = 0;
    this.current = 'up';
    this.setPath(session, channel);
    this.look();
    this.options.onUp(observed);
  }

  private onSize(session: ChannelSession, channel: MemberChannel): void {
    this.setPath(session, channel);
    this.options.onSize();
  }

  private setPath({ hub, server }: ChannelSession, { cid, packetBytes, bundleBytes }: MemberChannel): void {
    if (cid === undefined) return;
    const path = { door: this.doorOf(ownPlace), peer: server, packetBytes, bundleBytes };
    hub.relay.setPath(cid, path);
  }

  private look(): void {
    this.cancelLook();
    const { channel, options } = this;
    const { rekeyPackets = defaultRekeyPackets } = options;
    const everyMs = rekeyPackets < defaultRekeyPackets ? soonLookEveryMs : lookEveryMs;
    this.cancelLook = options.clock.after(everyMs, () => this.look());
    const counters =
      channel?.cid === undefined ? undefined : this.session?.hub.relay.channelCounters(channel.cid);
    if (channel === undefined || counters === undefined) return;
    const doubt = this.use.look(counters, options.clock.now());
    if (doubt === 'in-use') channel.nudge();
    else if (doubt === 'silent') channel.doubt();
    channel.considerRekey(counters.packetsIn + counters.packetsOut);
  }

  private onDown(why: ChannelEnd, code: ErrorCode | undefined): void {
    this.channel = undefined;
    this.cancelLook();
    // Where nothing passes it is said once, and not each time that it is tried.
    if (why !== 'lost') for (const place of [...this.doors.keys()]) this.drop(place);
    const before = this.current;
    this.current = why === 'lost' ? 'trying' : why === 'blocked' ? 'blocked' : 'idle';
    if (why === 'lost') this.retryAfter(Math.min(firstPauseMs * 2 ** this.pauses++, longestPauseMs));
    if (why === 'blocked' && this.options.isWanted()) this.retryAfter(blockedPauseMs);
    if (before !== 'blocked' || why !== 'blocked') this.options.onDown(why, code);
  }

  private retryAfter(pauseMs: number): void {
    this.cancelRetry();
    this.cancelRetry = this.options.clock.after(pauseMs, () => {
      if (this.session === undefined || this.channel !== undefined) return;
      // Another number: what held the old one up, if anything did, may not know this one.
      this.drop(ownPlace);
      this.offer(this.session);
    });
  }
}
