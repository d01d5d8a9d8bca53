import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { newTally, tallyIn, tallyOut } from './counters.ts';
import type { PeerTarget, PortOptions, PortTarget } from './relay.ts';
import type { RelaySocket } from './relay-sockets.ts';

/** One plain port of a script relay, and whom it may send to (P5.9). */

/** Approved peers, and after how long without a datagram to one it is forgotten. */
const mostApproved = 1024;
const idleMs = 5 * 60_000;

const keyOf = ({ address, number }: PacketPeer) => `${address}|${number}`;

/** See the head of this file. */
export class ScriptPort {
  readonly tally = newTally();
  to: PortTarget = 'script';
  private readonly clock: Clock;
  private readonly needsApproval: boolean;
  private socket: RelaySocket | undefined;
  private readonly peers = new Map<string, PeerTarget>();
  /** When each was sent to last; the oldest stand first. */
  private readonly approved = new Map<string, number>();

  constructor(clock: Clock, { approve }: PortOptions) {
    this.clock = clock;
    this.needsApproval = approve;
  }

  /** The socket is there. */
  use(socket: RelaySocket): void {
    this.socket = socket;
  }

  /** A datagram has come from the LAN. Where it goes. */
  onArrival(bytes: Buffer, from: PacketPeer): PortTarget | PeerTarget {
    tallyIn(this.tally, bytes.length);
    return this.peers.get(keyOf(from)) ?? this.to;
  }

  /** See {@link Relay.bindPeer}. */
  bindPeer(from: PacketPeer, to: PeerTarget | undefined): void {
    if (to === undefined) this.peers.delete(keyOf(from));
    else this.peers.set(keyOf(from), to);
  }

  /** What leads to that channel leads to 'script'. */
  forget(cid: number): void {
    if (typeof this.to === 'object' && this.to.cid === cid) this.to = 'script';
    for (const [peer, to] of this.peers) if (to.cid === cid) this.peers.delete(peer);
  }

  /** See {@link Relay.approve}. */
  approve(peer: PacketPeer): void {
    this.touch(keyOf(peer));
    const [oldest] = this.approved.keys();
    if (this.approved.size > mostApproved && oldest !== undefined) this.approved.delete(oldest);
  }

  private touch(key: string): void {
    this.approved.delete(key);
    this.approved.set(key, this.clock.now());
  }

  /** See {@link Relay.clearApprovals}. */
  clearApprovals(): void {
    this.approved.clear();
  }

  /** Whether what comes on routes may leave for that peer; counts as use. */
  mayLeaveFor(peer: PacketPeer): boolean {
    if (!this.needsApproval) return true;
    const key = keyOf(peer);
    const usedMs = this.approved.get(key);
    if (usedMs === undefined || this.clock.now() - usedMs >= idleMs) return false;
    this.touch(key);
    return true;
  }

  /** Sends. */
  send(peer: PacketPeer, bytes: Uint8Array): void {
    tallyOut(this.tally, bytes.length);
    this.socket?.send(bytes, peer, () => {
      this.tally.unsent++;
    });
  }

  close(): void {
    this.socket?.close();
  }
}
