import { randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, errorNumber } from '../base/errors.ts';
import type { DoorId, Relay, RelayCounters } from '../relay/relay.ts';
import { type ChannelSecret, channelKeys } from '../session/channel-keys.ts';
import { bundleBytesOf, openedKinds } from '../wire/bundle.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { ControlBody, PacketPeer } from '../wire/packet.ts';
import { type PacketSuite, packetSuites } from '../wire/packet-key.ts';
import type { LinkIdentity } from './members.ts';
import { OwnedChannels } from './owned-channels.ts';
import { peerText, UdpChannel } from './udp-channel.ts';

/**
 * The server's side of UDP channels (P7): who has which, by cid. Knows no socket and seals nothing: the relay does, and
 * drops in silence, before anything is kept of it, whatever is not a packet of a channel.
 */

/** Channels of one instance of a member (P7.1). */
const maxChannels = 4;

/** Silences that one instance may ask for at a time (P8.3). */
const maxEchoes = 8;

/** More packets than keepalives are, from one of them to the next: datagrams have passed. */
const busyPackets = 10;

/** An epoch stands in a byte (P7.2). */
const epochs = 256;

/** How long a channel goes on without a link of its member, and how long a cid is not used again (P7.4, P7.1). */
const orphanMs = 120_000;
const restMs = 600_000;

/** A member's link, as this desk needs it. */
export interface ChannelLink {
  readonly identity: LinkIdentity;
  sendChannel(message: Channel): void;
  /** 32 bytes of the link's session (P7.3). */
  channelSecret(): Buffer;
}

/** What a desk is made with. */
export interface ChannelDeskOptions {
  readonly clock: Clock;
  /** Tells this desk what comes on its channels. */
  readonly relay: Relay;
  /** The service port's number. */
  readonly door: DoorId;
  /** A channel is over. */
  onEnded(cid: number): void;
}

/** Totals since the desk was made, but for `live`, which is now. */
export interface ChannelCounters {
  readonly live: number;
  readonly received: number;
  /** Nobody was answered: unknown cid, bad tag, replay, or of no use. */
  readonly dropped: number;
}

interface Entry {
  readonly channel: UdpChannel;
  readonly owner: string;
  readonly suite: PacketSuite;
  /** The newest there is. */
  epoch: number;
  /** Packets that have left on it, when it was looked at last. */
  packetsSeen: number;
  link: ChannelLink | undefined;
  cancelOrphan: () => void;
}

/** Packets that nobody was answered for. */
function refusedOf(counters: RelayCounters | undefined): number {
  if (counters === undefined) return 0;
  const { malformed, forged, replayed } = counters;
  return malformed + forged + replayed;
}

function ownerOf({ identity }: ChannelLink): string {
  return `${identity.key} ${identity.instance}`;
}

/** See the head of this file. */
export class ChannelDesk {
  private readonly options: ChannelDeskOptions;
  private readonly entries = new OwnedChannels<Entry>();
  private readonly echoing = new Map<string, number>();
  /** When a cid may be used again, the soonest first. */
  private readonly resting = new Map<number, number>();
  private useless = 0;
  /** Of channels that are no more. */
  private endedDrops = 0;

  constructor(options: ChannelDeskOptions) {
    this.options = options;
  }

  /** What goes on, and what has come. */
  get counters(): ChannelCounters {
    const { doors, channels } = this.options.relay.report();
    const atDoor = doors.get(this.options.door);
    let dropped = this.useless + (atDoor?.unknown ?? 0) + this.endedDrops;
    for (const counters of channels.values()) dropped += refusedOf(counters);
    return { live: this.entries.size, received: atDoor?.packetsIn ?? 0, dropped };
  }

  /** A packet of a channel has come to the service port. */
  onControl(cid: number, from: PacketPeer, body: ControlBody): void {
    if (this.entries.get(cid)?.channel.onControl(body, from) !== true) this.useless++;
  }

  /** Datagrams of a channel come from elsewhere than its path. */
  onElsewhere(cid: number, from: PacketPeer): void {
    this.entries.get(cid)?.channel.onElsewhere(from);
  }

  /** CHANNEL has come on a member's link. */
  onMessage(link: ChannelLink, message: Channel): void {
    const { step, cid } = message;
    if (step === 'offer') return this.onOffer(link, message);
    const entry = cid === undefined ? undefined : this.entries.get(cid);
    if (cid === undefined || entry?.owner !== ownerOf(link)) return;
    if (step === 'close') this.end(cid);
    else if (step === 'rekey') this.onRekey(link, cid, entry, message);
  }

  private onRekey(link: ChannelLink, cid: number, entry: Entry, { nonce }: Channel): void {
    if (nonce === undefined) return refuse(link, 'bad-request', cid);
    entry.epoch = (entry.epoch + 1) % epochs;
    const { epoch, suite } = entry;
    const { nonce: serverNonce, keys } = freshKeys(link, { memberNonce: nonce, cid, epoch, suite });
    this.options.relay.addEpoch(cid, keys, 'heard');
    link.sendChannel({ step: 'rekeyed', cid, epoch, nonce: serverNonce });
  }

  /** True when the channel is up and `link` is its member's. */
  isUpOf(cid: number, link: object): boolean {
    const entry = this.entries.get(cid);
    return entry?.link === link && entry.channel.observed !== undefined;
  }

  /** A link has come: it has the channels that its member's instance has already (P7.4). */
  onLink(link: ChannelLink): void {
    for (const [, entry] of this.entries.of(ownerOf(link))) {
      entry.cancelOrphan();
      entry.link = link;
    }
  }

  /** A link is over: its channels go on for a while (P7.4), unless its member is no more. */
  onLinkEnded(link: ChannelLink, code: ErrorCode): void {
    for (const [cid, entry] of this.entries.of(ownerOf(link))) {
      if (entry.link !== link) continue;
      entry.link = undefined;
      if (code === 'key-revoked') this.end(cid);
      else entry.cancelOrphan = this.options.clock.after(orphanMs, () => this.end(cid));
    }
  }

  /** Ends every channel. */
  close(): void {
    for (const cid of this.entries.all()) this.end(cid);
  }

  private onOffer(link: ChannelLink, { nonce, suites = [], opens = [] }: Channel): void {
    const suite = suites.find(each => packetSuites.includes(each));
    if (nonce === undefined) return refuse(link, 'bad-request');
    if (suite === undefined) return refuse(link, 'unsupported');
    const owner = ownerOf(link);
    if (!this.makeRoom(owner)) return refuse(link, 'limit');
    const cid = this.freshCid();
    const epoch = 0;
    const { nonce: serverNonce, keys } = freshKeys(link, { memberNonce: nonce, cid, epoch, suite });
    const { relay, door } = this.options;
    relay.addChannel(cid, keys);
    const setPath = (peer: PacketPeer) => {
      const { packetBytes } = entry.channel;
      relay.setPath(cid, { door, peer, packetBytes, bundleBytes: bundleBytesOf(entry.channel, opens) });
    };
    const entry: Entry = {
      channel: new UdpChannel(this.options.clock, {
        send: (body, to) => relay.sendControl(cid, door, to, body),
        setsDf: relay.setsDf,
        takeUse: () => {
          const { packetsOut = 0 } = relay.channelCounters(cid) ?? {};
          const isUsed = packetsOut - entry.packetsSeen >= busyPackets;
          entry.packetsSeen = packetsOut;
          return isUsed;
        },
        onSize: setPath,
        onPath: (path, isFirst) => {
          setPath(path);
          if (isFirst) entry.link?.sendChannel({ step: 'up', cid, observed: peerText(path) });
        },
        takeEcho: () => this.takeEcho(owner),
        giveEcho: () => this.giveEcho(owner),
      }),
      owner,
      suite,
      epoch,
      packetsSeen: 0,
      link,
      cancelOrphan: () => {},
    };
    this.entries.add(cid, entry);
    link.sendChannel({ step: 'accept', cid, epoch, nonce: serverNonce, suite, opens: [...openedKinds] });
  }

  /** A channel that lost its link gives way; false when the member has all it may and uses them. */
  private makeRoom(owner: string): boolean {
    const own = this.entries.of(owner);
    if (own.length < maxChannels) return true;
    const orphan = own.find(([, { link }]) => link === undefined);
    if (orphan === undefined) return false;
    this.end(orphan[0]);
    return true;
  }

  private freshCid(): number {
    const nowMs = this.options.clock.now();
    for (const [cid, atMs] of this.resting) {
      if (atMs > nowMs) break;
      this.resting.delete(cid);
    }
    for (;;) {
      const cid = randomInt(1, 2 ** 24);
      if (this.entries.get(cid) === undefined && !this.resting.has(cid)) return cid;
    }
  }

  private end(cid: number): void {
    const entry = this.entries.take(cid);
    if (entry === undefined) return;
    this.resting.set(cid, this.options.clock.now() + restMs);
    entry.cancelOrphan();
    entry.channel.end();
    this.endedDrops += refusedOf(this.options.relay.channelCounters(cid));
    this.options.relay.removeChannel(cid);
    this.options.onEnded(cid);
  }

  private takeEcho(owner: string): boolean {
    const count = this.echoing.get(owner) ?? 0;
    if (count >= maxEchoes) return false;
    this.echoing.set(owner, count + 1);
    return true;
  }

  private giveEcho(owner: string): void {
    const left = (this.echoing.get(owner) ?? 0) - 1;
    if (left > 0) this.echoing.set(owner, left);
    else this.echoing.delete(owner);
  }
}

/** Keys that nobody has had: the server's nonce is random each time (P7.3). */
function freshKeys(link: ChannelLink, secret: Omit<ChannelSecret, 'exporter' | 'serverNonce'>) {
  const nonce = randomBytes(32);
  const both = channelKeys({ ...secret, exporter: link.channelSecret(), serverNonce: nonce });
  const keys = { epoch: secret.epoch, sealKey: both.serverToMember, openKey: both.memberToServer };
  return { nonce, keys };
}

function refuse(link: ChannelLink, code: ErrorCode, cid?: number): void {
  link.sendChannel({ step: 'refuse', reason: errorNumber(code), ...(cid === undefined ? {} : { cid }) });
}
