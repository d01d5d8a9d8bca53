import type { Clock } from '../base/clock.ts';
import { asEntremiseError, type ErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type ChannelEnd, MemberChannel, ownPlace, parsePeer } from '../session/member-channel.ts';
import type { MemberLink } from '../session/member-link.ts';
import { ladderPlan, type PathKnowledge, PathLifetime } from '../session/path-lifetime.ts';
import type { Channel } from '../wire/messages/attach.ts';
import type { PathReport } from '../wire/messages/report.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { readRememberedPath, writeRememberedPath } from './path-memory.ts';
import { UdpSockets } from './udp-sockets.ts';

/**
 * A member's UDP path to its server: one channel while there is a link, kept by keepalives, and what the NATs on the way
 * allow, learned beside it (P7.1, P8.3). Where UDP does not pass it says so and is quiet until the next link.
 */

/** A channel that fell silent is offered again after this long, twice as long each time, to the longest. */
const firstPauseMs = 1_000;
const longestPauseMs = 600_000;

/** Whether UDP passes. `off`: there is no link, or the server offers no channels. */
export type UdpState = 'off' | 'trying' | 'up' | 'blocked';

/** What a path is made with. */
export interface UdpPathOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Where `path.json` is kept. */
  readonly directory: string;
  /** What stands for a second in the ladder; tests have shorter ones. */
  readonly unitMs?: number;
  /** Between 0 and 1. */
  random(): number;
  /** WAN interface and gateway in words, as they are now, towards an address. */
  wan(serverAddress: string): string;
  /** {@link UdpPath.state} or {@link UdpPath.knowledge} has changed. */
  onChange(): void;
}

interface Session {
  readonly link: MemberLink;
  readonly server: PacketPeer;
  readonly sockets: UdpSockets;
  channel: MemberChannel;
}

/** See the head of this file. */
export class UdpPath {
  private readonly options: UdpPathOptions;
  private readonly lifetime: PathLifetime;
  private session: Session | undefined;
  private status: UdpState = 'off';
  private observed: PacketPeer | undefined;
  private pathText = '';
  private pauses = 0;
  private cancelRetry = () => {};

  constructor(options: UdpPathOptions) {
    const { clock, unitMs } = options;
    this.options = options;
    this.lifetime = new PathLifetime({
      clock,
      plan: ladderPlan(unitMs),
      ask: (place, id, afterMs) => this.session?.channel.ask(place, id, afterMs),
      drop: place => this.session?.sockets.close(place),
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
    return {
      udp: this.status,
      origin,
      udpKeepaliveMs: Math.round(keepaliveMs),
      ...(heldMs === undefined ? {} : { heldMs }),
      ...(expiredMs === undefined ? {} : { expiredMs: Math.round(expiredMs) }),
      ...(atMs === undefined ? {} : { learnedAtMs: atMs }),
      tcpKeepaliveMs,
    };
  }

  /** A link is up. */
  onOnline(link: MemberLink): void {
    const server = parsePeer(link.driver.remote);
    if (server === undefined) return;
    this.end();
    this.pauses = 0;
    const sockets = new UdpSockets(server, (place, packet) => this.session?.channel.onPacket(place, packet));
    this.session = { link, server, sockets, channel: this.channelOn(link, sockets) };
    this.begin(this.session);
  }

  /** The link is gone. */
  onOffline(): void {
    this.end();
    this.become('off');
  }

  /** CHANNEL has come. */
  onMessage(message: Channel): void {
    this.session?.channel.onMessage(message);
  }

  /** The machine's interfaces or routes have changed. */
  onEnvironment(): void {
    if (this.session !== undefined && this.observed !== undefined) this.checkPath(this.observed);
  }

  /** Ends the channel. */
  stop(): void {
    this.session?.channel.stop();
    this.end();
  }

  private channelOn(link: MemberLink, sockets: UdpSockets): MemberChannel {
    const { clock, random } = this.options;
    return new MemberChannel({
      clock,
      random,
      secret: link.channelSecret(),
      say: message => link.sendChannel(message),
      send: (place, packet) => sockets.send(place, packet),
      keepaliveMs: () => this.lifetime.keepaliveMs,
      onUp: observed => this.onUp(observed),
      onEcho: (place, id) => this.lifetime.onEcho(place, id),
      onRebound: (from, to) => this.onRebound(from, to),
      onDown: (why, code) => this.onDown(why, code),
    });
  }

  private begin({ channel }: Session): void {
    this.become('trying');
    channel.start();
  }

  private end(): void {
    this.cancelRetry();
    this.lifetime.pause();
    this.session?.sockets.closeAll();
    this.session = undefined;
  }

  private become(status: UdpState): void {
    if (this.status === status) return;
    this.status = status;
    this.options.onChange();
  }

  private onUp(observed: PacketPeer): void {
    this.pauses = 0;
    this.checkPath(observed);
    const { keepaliveMs, origin } = this.knowledge;
    this.options.log.info({ observed, keepaliveMs, origin }, 'UDP channel up');
    this.become('up');
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

  private onRebound(from: PacketPeer, to: PacketPeer): void {
    this.options.log.info({ from, to }, 'a NAT had forgotten the UDP channel');
    const samePath = from.address === to.address;
    this.checkPath(to);
    if (samePath) this.lifetime.onBindingLost();
  }

  private onDown(why: ChannelEnd, code: ErrorCode | undefined): void {
    this.lifetime.pause();
    this.options.log.info({ why, code }, 'no UDP channel');
    if (why === 'lost') return this.retryLater();
    // Nothing more is tried on this link: whoever stops UDP does so for long as a rule.
    this.session?.sockets.closeAll();
    this.become(why === 'blocked' ? 'blocked' : 'off');
  }

  private retryLater(): void {
    const { clock } = this.options;
    this.become('trying');
    const pauseMs = Math.min(firstPauseMs * 2 ** this.pauses++, longestPauseMs);
    this.cancelRetry();
    this.cancelRetry = clock.after(pauseMs, () => {
      const { session } = this;
      if (session === undefined) return;
      // Another number: what held the old one up, if anything did, may not know this one.
      session.sockets.close(ownPlace);
      session.channel = this.channelOn(session.link, session.sockets);
      session.channel.start();
    });
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
