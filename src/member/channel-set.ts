import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { MemberChannel } from '../session/member-channel.ts';
import type { ChannelEnd } from '../session/member-channel-options.ts';
import { suitesBySpeed } from '../session/suite-order.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { PacketSuite } from '../wire/packet-key.ts';
import { ChannelKeeper, type ChannelSession } from './channel-keeper.ts';
import type { OwnChannel } from './channel-source.ts';

/** The channels of a member (P7.1): the one that everybody shares, and others that were asked for. */

/** Channels beside the shared one: the server grants four in all (P7.1). */
const mostOthers = 3;

/** What a set needs and tells. `isFirst`: of the shared channel. */
export interface ChannelSetOptions {
  readonly clock: Clock;
  /** Between 0 and 1. */
  random(): number;
  keepaliveMs(): number;
  /** Packets under one epoch's keys; default: as P7.3 has it. */
  readonly rekeyPackets?: number | undefined;
  /** Somebody waits for UDP to pass. */
  isWanted(): boolean;
  /** Puts CHANNEL on the link of now; false when there is none. */
  say(message: Channel): boolean;
  onUp(observed: PacketPeer, isFirst: boolean): void;
  onSize(isFirst: boolean): void;
  /** Of the shared channel. */
  onEcho(place: number, id: number): void;
  /** Of the shared channel: as what the server sees a spare place. */
  onSeen(place: number, as: PacketPeer): void;
  onRebound(from: PacketPeer, to: PacketPeer, isFirst: boolean): void;
  /** The keys of that epoch are in use on one of them. */
  onRekeyed(epoch: number): void;
  onDown(why: ChannelEnd, code: ErrorCode | undefined, isFirst: boolean): void;
}

/** See the head of this file. */
export class ChannelSet {
  readonly first: ChannelKeeper;
  private readonly options: ChannelSetOptions;
  private readonly others = new Set<ChannelKeeper>();
  /** Channels that were offered and not answered, in order. */
  private readonly offered: MemberChannel[] = [];
  /** Measured when they are first asked for. */
  private suites: readonly PacketSuite[] | undefined;

  constructor(options: ChannelSetOptions) {
    this.options = options;
    this.first = this.newKeeper(true);
  }

  private get all(): readonly ChannelKeeper[] {
    return [this.first, ...this.others];
  }

  /** There is a new link. `has`: the server that has the channels already (P7.4). */
  onLink(session: ChannelSession, has: boolean): void {
    for (const keeper of this.all)
      if (has) keeper.goOn(session);
      else keeper.begin(session);
  }

  /** What was offered on the link before is not answered any more. */
  forgetOffers(): void {
    this.offered.length = 0;
  }

  /** CHANNEL has come. */
  onMessage(message: Channel): void {
    const { step, cid } = message;
    const isAnswer = step === 'accept' || (step === 'refuse' && cid === undefined);
    if (isAnswer) return this.offered.shift()?.onMessage(message);
    for (const keeper of this.all) keeper.onMessage(message);
  }

  /** Somebody waits for UDP from now on. */
  onWanted(): void {
    for (const keeper of this.all) keeper.onWanted();
  }

  /** One more channel, offered on `session` if there is one; undefined when there are as many as may be. */
  add(session: ChannelSession | undefined): ChannelKeeper | undefined {
    if (this.others.size >= mostOthers) return undefined;
    const keeper = this.newKeeper(false);
    this.others.add(keeper);
    if (session !== undefined) keeper.begin(session);
    return keeper;
  }

  /** As {@link add}, for whoever uses it; `watch`: tells of changes of any channel. */
  own(session: ChannelSession | undefined, watch: OwnChannel['watch']): OwnChannel | undefined {
    const keeper = this.add(session);
    if (keeper === undefined) return undefined;
    // Where the server grants none the shared one does.
    const used = () => (keeper.state === 'idle' ? this.first : keeper);
    return {
      get cid() {
        return used().cid;
      },
      get isTrying() {
        return used().state === 'trying';
      },
      watch,
      end: () => this.remove(keeper),
    };
  }

  /** A channel of {@link add} is of no use any more. */
  remove(keeper: ChannelKeeper): void {
    this.others.delete(keeper);
    keeper.end();
  }

  /** Ends all of them. */
  end(): void {
    for (const keeper of this.all) keeper.end();
  }

  private newKeeper(isFirst: boolean): ChannelKeeper {
    const { options } = this;
    return new ChannelKeeper({
      clock: options.clock,
      random: () => options.random(),
      keepaliveMs: () => options.keepaliveMs(),
      rekeyPackets: options.rekeyPackets,
      suites: () => {
        this.suites ??= suitesBySpeed();
        return this.suites;
      },
      isWanted: () => options.isWanted(),
      say: message => void options.say(message),
      offer: (channel, message) => {
        if (options.say(message)) this.offered.push(channel);
      },
      onUp: observed => options.onUp(observed, isFirst),
      onSize: () => options.onSize(isFirst),
      onEcho: (place, id) => {
        if (isFirst) options.onEcho(place, id);
      },
      onSeen: (place, as) => {
        if (isFirst) options.onSeen(place, as);
      },
      onRebound: (from, to) => options.onRebound(from, to, isFirst),
      onRekeyed: epoch => options.onRekeyed(epoch),
      onDown: (why, code) => options.onDown(why, code, isFirst),
    });
  }
}
