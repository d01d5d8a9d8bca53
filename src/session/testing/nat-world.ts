import { type FakeClock, fakeClock } from '../../base/clock.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import { ChannelKeepalive } from '../channel-keepalive.ts';
import { ladderPlan, type PathKnowledge, PathLifetime } from '../path-lifetime.ts';

/**
 * A member's learner and the keepalives of its channel behind a NAT that forgets, with a line that loses, on a clock that
 * is moved: a day takes a moment. Packets are counted, and so is every time that the NAT had forgotten the channel.
 */

/** What the world is like. */
export interface NatWorldOptions {
  /** How long the NAT keeps a binding after the last packet from inside; changes when the test says so. */
  readonly natMs: number;
  /** Of the packets each way, between the member and the NAT's far side. */
  readonly lossRatio?: number;
  /** How long a packet takes one way. */
  readonly delayMs?: number;
  readonly seed?: number;
  /** Packets from outside refresh a binding, too (RFC 4787 REQ-6a allows it). */
  readonly inboundRefreshes?: boolean;
  /** Nothing passes: a firewall. */
  readonly blocked?: boolean;
  readonly remembered?: PathKnowledge;
}

/** A generator of numbers between 0 and 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Binding {
  number: number;
  untilMs: number;
}

/** The place of the channel; those of the learner begin at 1. */
const channelPlace = 0;

/** See the head of this file. */
export class NatWorld {
  readonly clock: FakeClock = fakeClock();
  readonly lifetime: PathLifetime;
  readonly keepalive: ChannelKeepalive;
  /** Packets of the member, lost ones included. */
  packets = 0;
  /** How often the NAT had forgotten the channel's binding when the member spoke again. */
  bindingsLost = 0;
  /** Rounds of keepalives without an answer. */
  unanswered = 0;
  /** How often the learner said that what it knows is worth keeping. */
  settledCount = 0;
  natMs: number;
  blocked: boolean;
  private readonly options: NatWorldOptions;
  private readonly random: () => number;
  private readonly bindings = new Map<number, Binding>();
  private nextNumber = 40_000;

  constructor(options: NatWorldOptions) {
    this.options = options;
    this.natMs = options.natMs;
    this.blocked = options.blocked ?? false;
    this.random = seeded(options.seed ?? 1);
    const { clock } = this;
    this.lifetime = new PathLifetime({
      clock,
      plan: ladderPlan(),
      ask: (place, id, afterMs) =>
        this.toServer(place, () =>
          clock.after(afterMs, () => this.toMember(place, () => this.lifetime.onEcho(place, id))),
        ),
      drop: place => this.bindings.delete(place),
      onChange: settled => {
        if (settled) this.settledCount++;
      },
    });
    this.keepalive = new ChannelKeepalive({
      clock,
      intervalMs: () => this.lifetime.keepaliveMs,
      random: () => this.random(),
      send: id =>
        this.toServer(channelPlace, peer =>
          this.toMember(channelPlace, () => this.keepalive.onAlive(id, peer)),
        ),
      received: () => 0,
      askLink: () => undefined,
      onRebound: () => this.lifetime.onBindingLost(),
      onUnanswered: () => {
        this.unanswered++;
        this.keepalive.start(this.peerOf(channelPlace));
      },
    });
  }

  /** The channel comes up, and with it the learner. */
  start(): void {
    this.keepalive.start(this.peerOf(channelPlace));
    this.lifetime.start(this.options.remembered);
  }

  /** Moves time in steps, so that nothing piles up. */
  pass(ms: number): void {
    this.clock.advance(ms);
  }

  private peerOf(place: number): PacketPeer {
    return { address: '203.0.113.5', number: this.binding(place).number };
  }

  /** The binding as a packet from inside finds or makes it. */
  private binding(place: number): Binding {
    const now = this.clock.now();
    const known = this.bindings.get(place);
    if (known !== undefined && known.untilMs > now) return known;
    if (known !== undefined && place === channelPlace) this.bindingsLost++;
    const made = { number: this.nextNumber++, untilMs: now + this.natMs };
    this.bindings.set(place, made);
    return made;
  }

  private lost(): boolean {
    return this.blocked || this.random() < (this.options.lossRatio ?? 0);
  }

  private toServer(place: number, then: (peer: PacketPeer) => void): void {
    this.packets++;
    // Lost before the NAT: the worst place.
    if (this.lost()) return;
    const binding = this.binding(place);
    binding.untilMs = this.clock.now() + this.natMs;
    const peer = this.peerOf(place);
    this.clock.after(this.options.delayMs ?? 20, () => then(peer));
  }

  private toMember(place: number, then: () => void): void {
    const sentTo = this.bindings.get(place);
    if (this.lost()) return;
    this.clock.after(this.options.delayMs ?? 20, () => {
      const binding = this.bindings.get(place);
      const now = this.clock.now();
      if (binding === undefined || binding !== sentTo || binding.untilMs <= now) return;
      if (this.options.inboundRefreshes ?? false) binding.untilMs = now + this.natMs;
      then();
    });
  }
}
