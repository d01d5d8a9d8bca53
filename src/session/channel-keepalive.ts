import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';

/**
 * Keeps the binding of a channel that is in use (P8.3): KEEPALIVE after a silence of the member's own, again and again
 * while nothing answers. Only packets from inside refresh a NAT for sure (RFC 4787 REQ-6), so only those count.
 */

/**
 * KEEPALIVEs of one round, until the channel counts as lost: with 30 % lost each way one round of 200 has no answer. All of
 * them leave while the binding has the fifth of its life that is left.
 */
const sendsPerRound = 8;
const longestPauseMs = 250;

/**
 * How long the last one of a round is waited for: the first for 3.25 s, which a round trip of 750 ms each way and a queue of a
 * second take. There is a second round while other packets come all the same, since then a queue is long or only the way there
 * is broken, and while the link is as silent: then all of the path is, and nothing is won by giving up what would go on by
 * itself. It ends before 6 s are over: as long as a link takes to find out the same (P8.1).
 */
const lastWaitsMs = [1_500, 900];

/** What a keeper is made with. */
export interface ChannelKeepaliveOptions {
  readonly clock: Clock;
  /** How long the member may be silent now. */
  intervalMs(): number;
  /** Between 0 and 1, once: spreads a fleet that came up together, for ever. */
  random(): number;
  /** Sends a KEEPALIVE. */
  send(id: number): void;
  /** Packets that have come on the channel so far. */
  received(): number;
  /** Bytes that have come on the link so far; undefined when there is none. Asks the other side to say something. */
  askLink(): number | undefined;
  /** The server sees the channel come from elsewhere than before: a NAT had forgotten it. */
  onRebound(from: PacketPeer, to: PacketPeer): void;
  /** A round was not answered. Nothing more is sent. */
  onUnanswered(): void;
}

/** See the head of this file. */
export class ChannelKeepalive {
  /** KEEPALIVEs sent. */
  sentCount = 0;
  private readonly options: ChannelKeepaliveOptions;
  private cancelTimer = () => {};
  private nextId = 1;
  /** Of the round under way. */
  private firstId: number | undefined;
  private rounds = 0;
  private receivedBefore = 0;
  private linkBefore: number | undefined;
  private observed: PacketPeer | undefined;

  constructor(options: ChannelKeepaliveOptions) {
    this.options = options;
  }

  /** The channel is up, seen by the server as coming from `observed`: from now on it is kept. */
  start(observed: PacketPeer): void {
    this.observed = observed;
    const { random, intervalMs } = this.options;
    this.wait(intervalMs() * (0.5 + random() / 2), () => this.begin());
  }

  /** Nothing more is sent. */
  stop(): void {
    this.cancelTimer();
    this.firstId = undefined;
  }

  /** Now rather than when the silence is over: there is a reason to ask. */
  nudge(): void {
    if (this.observed !== undefined && this.firstId === undefined) this.begin();
  }

  /** Another packet of the member's was sent on the channel, and something of the server's has answered before. */
  onSent(): void {
    if (this.firstId === undefined) this.wait(this.options.intervalMs(), () => this.begin());
  }

  /** ALIVE has come. */
  onAlive(id: number, peer: PacketPeer): void {
    if (this.firstId === undefined || id < this.firstId || id >= this.nextId) return;
    this.firstId = undefined;
    const before = this.observed;
    this.observed = peer;
    if (before !== undefined && (before.address !== peer.address || before.number !== peer.number))
      this.options.onRebound(before, peer);
    this.onSent();
  }

  private wait(ms: number, then: () => void): void {
    this.cancelTimer();
    this.cancelTimer = this.options.clock.after(ms, then);
  }

  private begin(): void {
    this.firstId = this.nextId;
    this.rounds = 0;
    this.beginRound();
  }

  private beginRound(): void {
    this.rounds++;
    this.receivedBefore = this.options.received();
    this.send(sendsPerRound);
  }

  private onRoundOver(): void {
    const { received, askLink } = this.options;
    const isLinkHeard = (askLink() ?? 0) > (this.linkBefore ?? 0);
    const mayGoOn = received() > this.receivedBefore || !isLinkHeard;
    if (mayGoOn && this.rounds < lastWaitsMs.length) this.beginRound();
    else this.options.onUnanswered();
  }

  private send(left: number): void {
    if (left === 0) return this.onRoundOver();
    // Not before it is late: most are answered at once.
    if (left === sendsPerRound - 1) this.linkBefore = this.options.askLink();
    this.sentCount++;
    this.options.send(this.nextId++);
    const pauseMs = Math.min(longestPauseMs, this.options.intervalMs() / 20);
    const lastWaitMs = lastWaitsMs[this.rounds - 1] ?? 0;
    this.wait(left === 1 ? lastWaitMs : pauseMs, () => this.send(left - 1));
  }
}
