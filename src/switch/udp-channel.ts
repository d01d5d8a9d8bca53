import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { TokenBucket } from '../policy/rate.ts';
import { PathSize } from '../session/path-size.ts';
import { type ControlBody, maxEchoAfterMs, type PacketPeer, tokenBytes } from '../wire/packet.ts';

/** How long a challenge may be answered, and until when the old path's answer outweighs the new one's (P7.4). */
const challengeMs = 10_000;
const oldPathMs = 3_000;

/** Challenges a second (P7.4). */
const challengesPerSecond = 4;

/** Text of a peer, as CHANNEL `up` says it and as tables are keyed. */
export function peerText({ address, number }: PacketPeer): string {
  return address.includes(':') ? `[${address}]:${number}` : `${address}:${number}`;
}

/** What a channel's owner is asked and told. */
export interface UdpChannelHandlers {
  /** Seals a body and sends it to a place. */
  send(body: ControlBody, to: PacketPeer): void;
  /** The first path is proved, or another one. */
  onPath(path: PacketPeer, isFirst: boolean): void;
  /** {@link UdpChannel.packetBytes} has changed. */
  onSize(path: PacketPeer): void;
  /** Whether it has carried datagrams since this was asked last. */
  takeUse(): boolean;
  /** Packets leave whole, so that the size of the path can be found (P7.5). */
  readonly setsDf: boolean;
  /** One more silence is asked for: whether the member may (P8.3). Each taken one is given back once. */
  takeEcho(): boolean;
  giveEcho(): void;
}

interface Challenge {
  readonly token: Buffer;
  readonly peer: PacketPeer;
  readonly sentMs: number;
  /** It went to the path in use, because packets came from elsewhere. */
  readonly ofPath: boolean;
}

/** One UDP channel at the server: where its member is, challenges, and silences that were asked for. */
export class UdpChannel {
  private readonly clock: Clock;
  private readonly handlers: UdpChannelHandlers;
  private readonly challengeBudget: TokenBucket;
  private readonly challenges = new Map<string, Challenge>();
  private readonly echoes = new Map<string, () => void>();
  private readonly size: PathSize;
  private path: PacketPeer | undefined;

  constructor(clock: Clock, handlers: UdpChannelHandlers) {
    this.clock = clock;
    this.handlers = handlers;
    this.challengeBudget = new TokenBucket(challengesPerSecond, challengesPerSecond, clock.now());
    const { handlers: to } = this;
    this.size = new PathSize({
      clock,
      send: (id, packetBytes) => this.path && this.send({ kind: 'size', id, packetBytes }, this.path),
      onChange: () => this.path && to.onSize(this.path),
    });
  }

  /** Where the member is, or undefined before it has proved that. */
  get observed(): PacketPeer | undefined {
    return this.path;
  }

  /** The longest packet that is known to come through to the member (P7.5). */
  get packetBytes(): number {
    return this.size.packetBytes;
  }

  /** See {@link PathSize.passesBase}. */
  get passesBase(): boolean {
    return this.size.passesBase;
  }

  /** Silences that have not ended. */
  get echoCount(): number {
    return this.echoes.size;
  }

  /** The channel is over: no silence is ended any more. */
  end(): void {
    this.size.stop();
    for (const place of [...this.echoes.keys()]) this.dropEcho(place);
  }

  /** Datagrams come from elsewhere than the path. */
  onElsewhere(from: PacketPeer): void {
    if (this.path !== undefined) this.doubtPath(from);
  }

  /** A packet of the channel has come. False when it was of no use: nobody is answered (P7.4). */
  onControl(body: ControlBody, from: PacketPeer): boolean {
    if (body.kind === 'probe') return this.challenge(from, false);
    if (body.kind === 'answer') return this.onAnswer(body.token, from);
    if (this.path === undefined) return false;
    switch (body.kind) {
      case 'keepalive':
        this.send({ kind: 'alive', id: body.id, peer: from }, from);
        if (this.isPath(from)) this.size.confirm(this.handlers.takeUse());
        return this.doubtPath(from);
      case 'echo-after':
        return this.onEchoAfter(body.id, body.afterMs, from);
      case 'size':
        this.send({ kind: 'sized', id: body.id, packetBytes: body.packetBytes }, from);
        return true;
      case 'sized':
        this.size.onSized(body.id, body.packetBytes);
        return true;
      default:
        return false;
    }
  }

  private send(body: ControlBody, to: PacketPeer): void {
    this.handlers.send(body, to);
  }

  private isPath(from: PacketPeer): boolean {
    return this.path !== undefined && peerText(this.path) === peerText(from);
  }

  private doubtPath(from: PacketPeer): boolean {
    const { path } = this;
    if (path === undefined || this.isPath(from)) return true;
    this.challenge(from, false);
    this.challenge(path, true);
    return true;
  }

  private challenge(peer: PacketPeer, ofPath: boolean): boolean {
    const nowMs = this.clock.now();
    if (!this.challengeBudget.take(1, nowMs)) return false;
    for (const [place, { sentMs }] of this.challenges)
      if (nowMs - sentMs > challengeMs) this.challenges.delete(place);
    const token = randomBytes(tokenBytes);
    this.challenges.set(peerText(peer), { token, peer, sentMs: nowMs, ofPath });
    this.send({ kind: 'challenge', token }, peer);
    return true;
  }

  private onAnswer(token: Buffer, from: PacketPeer): boolean {
    const asked = this.challenges.get(peerText(from));
    if (asked === undefined || !timingSafeEqual(asked.token, token)) return false;
    this.challenges.delete(peerText(from));
    const agoMs = this.clock.now() - asked.sentMs;
    if (agoMs > (asked.ofPath ? oldPathMs : challengeMs)) return false;
    // The old path lives: whoever else was challenged is not it.
    if (asked.ofPath) this.challenges.clear();
    const isFirst = this.path === undefined;
    const isSame = this.isPath(from);
    this.path = from;
    this.handlers.onPath(from, isFirst);
    if (!isSame && this.handlers.setsDf) this.size.begin(from);
    return true;
  }

  private onEchoAfter(id: number, afterMs: number, from: PacketPeer): boolean {
    if (afterMs === 0) {
      this.send({ kind: 'echo', id }, from);
      return true;
    }
    if (afterMs > maxEchoAfterMs) return false;
    const place = peerText(from);
    this.dropEcho(place);
    if (!this.handlers.takeEcho()) return false;
    const cancel = this.clock.after(afterMs, () => {
      this.dropEcho(place);
      this.send({ kind: 'echo', id }, from);
    });
    this.echoes.set(place, cancel);
    return true;
  }

  private dropEcho(place: string): void {
    const cancel = this.echoes.get(place);
    if (cancel === undefined) return;
    cancel();
    this.echoes.delete(place);
    this.handlers.giveEcho();
  }
}
