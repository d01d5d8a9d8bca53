import { asEntremiseError, type ErrorCode } from '../base/errors.ts';
import { RelayHub } from '../relay/relay-hub.ts';
import type { ChannelEnd } from '../session/member-channel-options.ts';
import type { MemberLink } from '../session/member-link.ts';
import { parsePeer } from '../session/parse-peer.ts';
import { ladderPlan, type PathKnowledge, PathLifetime } from '../session/path-lifetime.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { PathReport } from '../wire/messages/report.ts';
import type { PacketPeer } from '../wire/packet.ts';
import type { ChannelSession } from './channel-keeper.ts';
import { ChannelSet } from './channel-set.ts';
import type { ChannelWatcher, MemberChannels, OwnChannel } from './channel-source.ts';
import { NatWatch } from './nat-watch.ts';
import { readRememberedPath, writeRememberedPath } from './path-memory.ts';
import type { UdpPathOptions } from './udp-path-options.ts';
import { surveyUdp } from './udp-survey.ts';

/**
 * A member's UDP path to its server: one channel that everybody shares, others if they are asked for, and what the NATs
 * on the way allow, learned beside them (P7.1, P8.3). Where UDP does not pass it says so, and is quiet until the next
 * link unless somebody waits.
 */

/** Whether UDP passes. `off`: there is no link, the server offers no channels, or nobody wants one. */
export type UdpState = 'off' | 'trying' | 'up' | 'blocked' | 'proxied';

const isSamePeer = (one: PacketPeer, other: PacketPeer) =>
  one.address === other.address && one.number === other.number;

interface Session extends ChannelSession {
  readonly link: MemberLink;
  readonly bootId: Uint8Array;
}

/** See the head of this file. */
export class UdpPath implements MemberChannels {
  /** The relay of its channels, and of the ports that lead to them. */
  readonly hub: RelayHub;
  /** What NATs on the way do. */
  readonly nat: NatWatch;
  private readonly options: UdpPathOptions;
  private readonly lifetime: PathLifetime;
  private readonly channels: ChannelSet;
  private readonly watchers = new Set<ChannelWatcher>();
  private session: Session | undefined;
  private link: MemberLink | undefined;
  private status: UdpState = 'off';
  private observed: PacketPeer | undefined;
  private pathText = '';
  private started: boolean;

  constructor(options: UdpPathOptions) {
    const { clock, unitMs } = options;
    this.options = options;
    this.hub = new RelayHub(options.openRelay);
    this.started = options.lazy !== true;
    this.channels = this.newChannels();
    this.nat = new NatWatch({ ...options, keeper: () => this.first });
    this.lifetime = new PathLifetime({
      clock,
      plan: ladderPlan(unitMs),
      ask: (place, id, afterMs) => this.first.ask(place, id, afterMs),
      drop: place => this.first.drop(place),
      onChange: settled => this.onLearned(settled),
    });
  }

  /** Whether UDP passes now. */
  get state(): UdpState {
    return this.status;
  }

  /** What is known of the path. */
  get knowledge(): PathKnowledge {
    return this.lifetime.knowledge;
  }

  /** WAN interface, gateway, public address and server, as far as they are known. */
  get path(): string {
    return this.pathText;
  }

  /** Both, as a mediator's REPORT says them, with what its link keeps to. */
  report(tcpKeepaliveMs: number): PathReport {
    const { origin, keepaliveMs, heldMs, expiredMs, atMs } = this.knowledge;
    const { packetBytes } = this.first;
    return {
      udp: this.status,
      origin,
      udpKeepaliveMs: Math.round(keepaliveMs),
      ...(heldMs === undefined ? {} : { heldMs }),
      ...(expiredMs === undefined ? {} : { expiredMs: Math.round(expiredMs) }),
      ...(atMs === undefined ? {} : { learnedAtMs: atMs }),
      tcpKeepaliveMs,
      ...(packetBytes === undefined ? {} : { packetBytes }),
      ...this.nat.view,
    };
  }

  /** A link is up. A channel that there was goes on if it is the same server process that has it (P7.4). */
  onOnline(link: MemberLink, bootId: Uint8Array): void {
    this.link = link;
    this.channels.forgetOffers();
    if (this.options.proxied === true) return this.become('proxied');
    const server = parsePeer(link.driver.remote);
    if (server === undefined) return;
    const { session: before, hub } = this;
    const askLink = () => {
      if (this.link !== link) return undefined;
      link.driver.ask();
      return link.driver.totalReceivedBytes;
    };
    const session = { link, bootId, server, hub, askLink, secret: () => link.channelSecret() };
    this.session = session;
    if (!this.started) return;
    const isSame =
      before !== undefined &&
      Buffer.compare(before.bootId, bootId) === 0 &&
      isSamePeer(before.server, server);
    this.channels.onLink(session, isSame);
    this.look();
  }

  /** The link is gone. Channels that are up go on without one for a while. */
  onOffline(): void {
    this.link = undefined;
    this.look();
  }

  /** CHANNEL has come. */
  onMessage(message: Channel): void {
    this.channels.onMessage(message);
  }

  /** See {@link surveyUdp}. */
  survey(): Promise<PathReport> {
    return surveyUdp(this, this.options.clock);
  }

  /** The machine's interfaces or routes have changed. */
  onEnvironment(): void {
    if (this.session !== undefined && this.observed !== undefined) this.checkPath(this.observed);
  }

  /** Somebody waits for UDP: it is offered, and where it does not pass tried again and again. */
  private want(): void {
    const wasStarted = this.started;
    this.started = true;
    if (!wasStarted && this.session !== undefined) {
      this.channels.onLink(this.session, false);
      this.look();
    }
    this.channels.onWanted();
  }

  /** A channel may come up soon. */
  get isTrying(): boolean {
    return this.status === 'trying';
  }

  /** The cid of the channel that is shared by default, while it is up. */
  get cid(): number | undefined {
    return this.first.cid;
  }

  /**
   * Calls `watcher` whenever a channel has come up or gone, until the returned function is called. While anybody does
   * UDP is offered, and where it does not pass tried again and again.
   */
  watch(watcher: ChannelWatcher): () => void {
    this.watchers.add(watcher);
    this.want();
    return () => void this.watchers.delete(watcher);
  }

  /** See {@link MemberChannels.ownChannel}. */
  ownChannel(): OwnChannel | undefined {
    const session = this.started ? this.session : undefined;
    return this.channels.own(session, watcher => this.watch(watcher));
  }

  /** Ends the channels and closes the relay. */
  stop(): void {
    this.channels.end();
    this.lifetime.pause();
    this.nat.stop();
    this.session = undefined;
    this.hub.close();
  }

  private get first() {
    return this.channels.first;
  }

  private newChannels(): ChannelSet {
    const { clock, random, rekeyPackets, log } = this.options;
    return new ChannelSet({
      clock,
      random,
      rekeyPackets,
      keepaliveMs: () => this.lifetime.keepaliveMs,
      isWanted: () => this.watchers.size > 0,
      say: message => {
        this.link?.sendChannel(message);
        return this.link !== undefined;
      },
      onUp: (observed, isFirst) => this.onUp(observed, isFirst),
      onSize: isFirst => {
        if (isFirst) this.onSize();
      },
      onEcho: (place, id) => this.lifetime.onEcho(place, id),
      onSeen: (place, as) => this.nat.onSeen(place, as),
      onRebound: (from, to, isFirst) => this.onRebound(from, to, isFirst),
      onRekeyed: epoch => log.info({ epoch }, 'keys of the UDP channel exchanged'),
      onDown: (why, code, isFirst) => this.onDown(why, code, isFirst),
    });
  }

  private become(status: UdpState): void {
    if (this.status === status) return;
    this.status = status;
    this.options.onChange();
  }

  /** What the shared channel is tells whether UDP passes. */
  private look(): void {
    const { state } = this.first;
    const offline = this.link === undefined && state !== 'up';
    this.become(state === 'idle' || offline ? 'off' : state);
    for (const watcher of [...this.watchers]) watcher();
  }

  private onUp(observed: PacketPeer, isFirst: boolean): void {
    if (isFirst) {
      this.checkPath(observed);
      this.nat.start(observed);
    }
    const { keepaliveMs, origin } = this.knowledge;
    this.options.log.info({ observed, keepaliveMs, origin }, 'UDP channel up');
    this.look();
  }

  /** Learning goes on where it was if the path is the one from before, with what is kept of it, or anew. */
  private checkPath(observed: PacketPeer): void {
    const { session } = this;
    if (session === undefined) return;
    const { directory, wan } = this.options;
    const { address, number } = session.server;
    this.observed = observed;
    const path = `${wan(address)} as ${observed.address} to ${address}:${number}`;
    if (this.pathText !== '' && this.pathText !== path) {
      this.options.log.info({ path }, 'the path has changed: what was learned of the old one is forgotten');
      this.pathText = path;
      this.lifetime.forget();
    }
    this.pathText = path;
    const remembered = readRememberedPath(directory);
    this.lifetime.start(remembered?.path === path ? remembered.knowledge : undefined);
  }

  private onSize(): void {
    const { packetBytes } = this.first;
    if (packetBytes !== undefined) this.options.log.debug({ packetBytes }, 'size of the UDP path');
    this.options.onChange();
  }

  private onRebound(from: PacketPeer, to: PacketPeer, isFirst: boolean): void {
    this.options.log.info({ from, to }, 'a NAT had forgotten the UDP channel');
    // It may have forgotten the link as well, which would learn of it by its next packet only.
    this.link?.driver.ask();
    if (!isFirst) return;
    const samePath = from.address === to.address;
    this.checkPath(to);
    if (samePath) this.lifetime.onBindingLost();
  }

  private onDown(why: ChannelEnd, code: ErrorCode | undefined, isFirst: boolean): void {
    if (isFirst) {
      this.lifetime.pause();
      this.nat.stop();
    }
    this.options.log.info({ why, code }, 'no UDP channel');
    this.look();
  }

  private onLearned(settled: boolean): void {
    const { log, directory } = this.options;
    const { knowledge, pathText } = this;
    if (settled && knowledge.origin !== 'default') {
      log.info({ ...knowledge, path: pathText }, 'UDP lifetime of the path');
      try {
        writeRememberedPath(directory, { path: pathText, knowledge });
      } catch (thrown) {
        log.warn({ code: asEntremiseError(thrown).code, err: thrown }, 'what was learned cannot be kept');
      }
    }
    this.options.onChange();
  }
}
