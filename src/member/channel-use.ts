import type { RelayCounters } from '../relay/relay.ts';

/**
 * What the counters of a channel say of its use, looked at every second. Who uses it is to know soon that nothing passes any
 * more, so it is asked after more often than its binding needs (P8.3): when something is sent and nothing comes, when what
 * came has stopped, and now and then while it carries datagrams.
 */

/** How often it is asked after while it is in use; it is when so many packets of datagrams have passed in between. */
const busyEveryMs = 5_000;
const busyPackets = 10;

/** Whether there is a reason to ask: `silent` when it may be that nothing passes. */
export type ChannelDoubt = 'silent' | 'in-use' | undefined;

/** See the head of this file. */
export class ChannelUse {
  private controlsIn = 0;
  private controlsOut = 0;
  private seen = { in: 0, out: 0 };
  private wasHeard = false;
  private busySince = { atMs: Number.NEGATIVE_INFINITY, packets: 0 };

  /** A packet that is no datagram has come. */
  onControlIn(): void {
    this.controlsIn++;
  }

  /** A packet that is no datagram goes. */
  onControlOut(): void {
    this.controlsOut++;
  }

  /** See the head of this file. */
  look(
    { packetsIn, packetsOut }: Pick<RelayCounters, 'packetsIn' | 'packetsOut'>,
    nowMs: number,
  ): ChannelDoubt {
    const now = { in: packetsIn - this.controlsIn, out: packetsOut - this.controlsOut };
    const isHeard = now.in > this.seen.in;
    const isSaid = now.out > this.seen.out;
    const isSilent = !isHeard && (isSaid || this.wasHeard);
    this.seen = now;
    this.wasHeard = isHeard;
    if (nowMs - this.busySince.atMs >= busyEveryMs) {
      const packets = now.in + now.out;
      const isBusy = packets - this.busySince.packets >= busyPackets;
      this.busySince = { atMs: nowMs, packets };
      if (isBusy) return 'in-use';
    }
    return isSilent ? 'silent' : undefined;
  }
}
