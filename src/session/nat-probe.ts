import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';

/**
 * Learns as what the server sees several sockets of this member (P8.3): KEEPALIVE from a spare place is answered there by
 * ALIVE, which says where it came from. The server also challenges both places, and the channel's own wins by answering
 * (P7.4), so nothing moves. One at a time and far apart: a channel has four challenges a second for everything.
 */

/** Places that are seen, beside the channel's own. */
const wantedPlaces = 3;

/** How far questions are apart, and how often one place is asked. */
const gapMs = 1_200;
const maxAsked = 3;

/** Spare places of the learner begin at 1 (P8.3); these are never its. */
const firstPlace = 2 ** 30;

/** What a probe needs. */
export interface NatProbeOptions {
  readonly clock: Clock;
  /** Says KEEPALIVE from a spare place, which is made when first named. */
  sight(place: number, id: number): void;
  drop(place: number): void;
  /** All places are through; those that the server has seen. */
  onDone(seen: ReadonlyMap<number, PacketPeer>): void;
}

/** See the head of this file. */
export class NatProbe {
  private readonly options: NatProbeOptions;
  private readonly seen = new Map<number, PacketPeer>();
  private place = firstPlace;
  private asked = 0;
  private cancelTimer = () => {};

  constructor(options: NatProbeOptions) {
    this.options = options;
  }

  /** Begins, or begins anew. */
  start(): void {
    this.stop();
    this.ask();
  }

  /** The server has answered to that place. */
  onAlive(place: number, peer: PacketPeer): void {
    if (place !== this.place || this.seen.has(place)) return;
    this.seen.set(place, peer);
  }

  /** Ends it without a word. */
  stop(): void {
    this.cancelTimer();
    for (let place = firstPlace; place <= this.place; place++) this.options.drop(place);
    this.seen.clear();
    this.place = firstPlace;
    this.asked = 0;
  }

  private ask(): void {
    const { clock, sight } = this.options;
    this.asked++;
    sight(this.place, this.asked);
    this.cancelTimer = clock.after(gapMs, () => this.goOn());
  }

  private goOn(): void {
    if (!this.seen.has(this.place) && this.asked < maxAsked) return this.ask();
    this.asked = 0;
    if (this.place - firstPlace + 1 < wantedPlaces) {
      this.place++;
      return this.ask();
    }
    this.options.onDone(new Map(this.seen));
    this.stop();
  }
}
