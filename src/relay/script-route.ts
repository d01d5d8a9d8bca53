import type { Clock } from '../base/clock.ts';
import type { DatagramBody } from '../wire/packet.ts';
import type { RouteTarget } from './relay.ts';

/** One route of a script relay's channel: where it leads, and what is held before it goes there. */

/** Datagrams of a hold, and how long the first of them is kept. */
const mostHeld = 256;
const holdMs = 100;

/** See the head of this file. */
export class ScriptRoute {
  /** Datagrams that were held. */
  heldCount = 0;
  private readonly clock: Clock;
  private readonly deliver: (to: RouteTarget, body: DatagramBody) => void;
  private to: RouteTarget;
  private waiting: DatagramBody[] = [];
  private held = false;
  private cancelRelease = () => {};

  constructor(clock: Clock, to: RouteTarget, deliver: (to: RouteTarget, body: DatagramBody) => void) {
    this.clock = clock;
    this.to = to;
    this.deliver = deliver;
  }

  /** See {@link Relay.bindRoute}. */
  bind(to: RouteTarget, held: boolean): void {
    this.to = to;
    if (held) this.held = true;
    else this.release();
  }

  /** True when it leads there. */
  leadsTo(is: (to: RouteTarget) => boolean): boolean {
    return is(this.to);
  }

  /** A datagram has come on it. */
  take(body: DatagramBody): void {
    if (!this.held) return this.deliver(this.to, body);
    if (this.waiting.length === 0) this.cancelRelease = this.clock.after(holdMs, () => this.release());
    this.waiting.push(body);
    this.heldCount++;
    if (this.waiting.length >= mostHeld) this.release();
  }

  private release(): void {
    this.cancelRelease();
    this.held = false;
    const { waiting } = this;
    this.waiting = [];
    for (const body of waiting) this.deliver(this.to, body);
  }

  /** The route is no more; returns how many were held. */
  end(): number {
    this.cancelRelease();
    return this.waiting.splice(0).length;
  }
}
