import type { Carrier } from '../../wire/messages/shared.ts';
import type { PacketPeer } from '../../wire/packet.ts';
import type { PortSurroundings } from './surroundings.ts';

/**
 * Tells a terminal what becomes of a UDP port's datagrams: EVENT channel, lost, limit and unreachable. Of the last
 * two there could be as many as there are datagrams; each is told once in a while.
 */

/** How often at most a terminal is told of the same thing. */
const tellEveryMs = 1000;

/** Peers whose last telling is remembered. */
const maxRemembered = 256;

/** What is needed of the port's attachment. */
export type UdpTellerSurroundings = Pick<PortSurroundings, 'clock' | 'sendEvent' | 'controlFull'> & {
  readonly holder: { readonly away: boolean };
};

/** See the head of this file. */
export class UdpTeller {
  private readonly id: number;
  private readonly surroundings: UdpTellerSurroundings;
  private untold = 0;
  private cancelTelling: (() => void) | undefined;
  /** When each peer was told to be unreachable last. */
  private readonly unreachableMs = new Map<string, number>();

  /** `id`: what EVENTs call the port. */
  constructor(id: number, surroundings: UdpTellerSurroundings) {
    this.id = id;
    this.surroundings = surroundings;
  }

  /** Tells at once. */
  tell(what: { kind: 'channel'; channel: Carrier } | { kind: 'lost' | 'limit'; count: number }): void {
    const { clock, sendEvent } = this.surroundings;
    sendEvent({ ...what, port: this.id, timeMs: clock.wallTimeMs() });
  }

  /** ICMP says that nothing reaches that peer; `code`: ICMP's, of "destination unreachable". */
  unreachable({ address, number }: PacketPeer, code: number): void {
    const { clock, sendEvent, holder, controlFull } = this.surroundings;
    const nowMs = clock.now();
    const key = `${address}|${number}`;
    if (holder.away || controlFull() || nowMs - (this.unreachableMs.get(key) ?? -tellEveryMs) < tellEveryMs)
      return;
    if (this.unreachableMs.size >= maxRemembered) this.unreachableMs.clear();
    this.unreachableMs.set(key, nowMs);
    const common = { port: this.id, timeMs: clock.wallTimeMs() };
    sendEvent({ kind: 'unreachable', ...common, peerAddress: address, peerNumber: number, code });
  }

  /** A datagram was dropped since its destination has too many. The first is told at once, those that follow together. */
  tooFast(): void {
    this.untold++;
    if (this.cancelTelling === undefined) this.tellDropped();
  }

  private tellDropped(): void {
    this.cancelTelling = undefined;
    if (this.untold === 0) return;
    this.tell({ kind: 'limit', count: this.untold });
    this.untold = 0;
    this.cancelTelling = this.surroundings.clock.after(tellEveryMs, () => this.tellDropped());
  }

  /** Tells nothing more by itself. */
  close(): void {
    this.cancelTelling?.();
  }
}
