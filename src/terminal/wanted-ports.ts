import type { Clock } from '../base/clock.ts';
import type { ChannelSource, MemberChannels, OwnChannel } from '../member/channel-source.ts';

/** The ports that a terminal has redirected, and the UDP channel of each: the shared one, or one of its own (P7.1). */

/** How long a channel that a port has left is kept: the mediator's end leaves by then (P7.7). */
const lingerMs = 1_000;

interface Wanted {
  /** Its datagrams may go by the TCP channel meanwhile. */
  readonly mayUseTcp: boolean;
  readonly own: OwnChannel | undefined;
}

/** See the head of this file. */
export class WantedPorts {
  private readonly clock: Clock;
  private readonly shared: MemberChannels | undefined;
  private readonly byPort = new Map<number, Wanted>();

  /** `shared`: undefined where there are no UDP channels. */
  constructor(clock: Clock, shared: MemberChannels | undefined) {
    this.clock = clock;
    this.shared = shared;
  }

  get size(): number {
    return this.byPort.size;
  }

  get ports(): readonly number[] {
    return [...this.byPort.keys()];
  }

  has(port: number): boolean {
    return this.byPort.has(port);
  }

  /** False: a port of which nothing is to go by the TCP channel. */
  mayUseTcp(port: number): boolean {
    return this.byPort.get(port)?.mayUseTcp !== false;
  }

  /** The port is redirected. `own`: its channel from now on, ended with it. */
  add(port: number, mayUseTcp: boolean, own: OwnChannel | undefined): void {
    if (this.byPort.get(port)?.own !== own) this.delete(port);
    this.byPort.set(port, { mayUseTcp, own });
  }

  /** It is not redirected any more. */
  delete(port: number): void {
    const own = this.byPort.get(port)?.own;
    this.byPort.delete(port);
    // What is late by it still comes.
    if (own !== undefined) this.clock.after(lingerMs, () => own.end());
  }

  /** Where a port's datagrams go by UDP. */
  channelOf(port: number): ChannelSource | undefined {
    return this.byPort.get(port)?.own ?? this.shared;
  }
}
