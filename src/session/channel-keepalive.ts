import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';

/**
 * Keeps the binding of a channel that is in use (P8.3): KEEPALIVE after a silence of the member's own, again and again
 * while nothing answers. Only packets from inside refresh a NAT for sure (RFC 4787 REQ-6), so only those count.
 */

/** KEEPALIVEs of one round, until the channel counts as lost. */
const sendsPerRound = 5;

/** The longest pause between them: one must still leave while the binding has the fifth of its life that is left. */
const longestPauseMs = 1_000;

/** How long the last one is waited for. */
const lastWaitMs = 3_000;

/** What a keeper is made with. */
export interface ChannelKeepaliveOptions {
  readonly clock: Clock;
  /** How long the member may be silent now. */
  intervalMs(): number;
  /** Between 0 and 1, once: spreads a fleet that came up together, for ever. */
  random(): number;
  /** Sends a KEEPALIVE. */
  send(id: number): void;
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
    this.send(sendsPerRound);
  }

  private send(left: number): void {
    if (left === 0) return this.options.onUnanswered();
    this.sentCount++;
    this.options.send(this.nextId++);
    const pauseMs = Math.min(longestPauseMs, this.options.intervalMs() / 20);
    this.wait(left === 1 ? lastWaitMs : pauseMs, () => this.send(left - 1));
  }
}
