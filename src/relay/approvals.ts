import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';
import { peerKey } from './idle-sweep.ts';

/** Whom a port of a script relay may send to, and the datagrams that wait for that to be said (P5.9). */

/** Approved peers, and after how long without a datagram to one it is forgotten. */
const mostApproved = 1024;
const approvalIdleMs = 5 * 60_000;

/** What waits: peers, datagrams for one, and bytes of all. */
const mostAsked = 256;
const mostEach = 64;
const mostBytes = 128 * 1024;

/** What became of a datagram: it may go; it waits, and somebody must be asked; it waits behind such a one; it was dropped. */
export type Judged = 'go' | 'ask' | 'waits' | 'full';

/** See the head of this file. */
export class Approvals {
  private readonly clock: Clock;
  /** When each was sent to last; the oldest stand first. */
  private readonly approved = new Map<string, number>();
  private readonly asked = new Map<string, Buffer[]>();
  private askedBytes = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Whether a datagram may leave for that peer; counts as use. Kept when that is not known. */
  judge(peer: PacketPeer, bytes: Buffer): Judged {
    const key = peerKey(peer);
    const usedMs = this.approved.get(key);
    if (usedMs === undefined || this.clock.now() - usedMs >= approvalIdleMs) return this.keep(key, bytes);
    this.touch(key);
    return 'go';
  }

  private keep(key: string, bytes: Buffer): Judged {
    const waiting = this.asked.get(key) ?? [];
    const isFull = waiting.length === 0 ? this.asked.size >= mostAsked : waiting.length >= mostEach;
    if (isFull || this.askedBytes + bytes.length > mostBytes) return 'full';
    this.askedBytes += bytes.length;
    this.asked.set(key, waiting);
    return waiting.push(bytes) === 1 ? 'ask' : 'waits';
  }

  /** See {@link Relay.approve}. Returns what has waited for it. */
  approve(peer: PacketPeer): readonly Buffer[] {
    this.touch(peerKey(peer));
    const [oldest] = this.approved.keys();
    if (this.approved.size > mostApproved && oldest !== undefined) this.approved.delete(oldest);
    return this.answered(peer);
  }

  /** The question about that peer is answered. Returns what has waited for it. */
  answered(peer: PacketPeer): readonly Buffer[] {
    const key = peerKey(peer);
    const waiting = this.asked.get(key) ?? [];
    this.asked.delete(key);
    for (const { length } of waiting) this.askedBytes -= length;
    return waiting;
  }

  private touch(key: string): void {
    this.approved.delete(key);
    this.approved.set(key, this.clock.now());
  }

  /** Nobody is approved any more. Who is asked about still is. */
  clear(): void {
    this.approved.clear();
  }
}
