import type { Clock } from '../base/clock.ts';
import type { PacketPeer } from '../wire/packet.ts';

/** Something about peers that is forgotten once a peer was idle for its time; looked after every 5 s (P7.6). */

const sweepMs = 5_000;

/** Text by which tables know a peer. */
export const peerKey = ({ address, number }: PacketPeer) => `${address}|${number}`;

/** What is kept of one peer. Without `idleMs` it stays. */
export interface SweepEntry<T> {
  readonly peer: PacketPeer;
  value: T;
  idleMs: number | undefined;
  usedMs: number;
}

/** See the head of this file. */
export class IdleSweep<T> {
  private readonly clock: Clock;
  private readonly onIdle: (peer: PacketPeer, value: T) => void;
  private readonly byKey = new Map<string, SweepEntry<T>>();
  private cancelSweep: (() => void) | undefined;

  constructor(clock: Clock, onIdle: (peer: PacketPeer, value: T) => void) {
    this.clock = clock;
    this.onIdle = onIdle;
  }

  get size(): number {
    return this.byKey.size;
  }

  /** That of the peer; counts as use. */
  use(peer: PacketPeer): T | undefined {
    const entry = this.byKey.get(peerKey(peer));
    if (entry !== undefined) entry.usedMs = this.clock.now();
    return entry?.value;
  }

  /** A peer that is there already has not been used by this. */
  set(peer: PacketPeer, value: T, idleMs?: number): void {
    const usedMs = this.byKey.get(peerKey(peer))?.usedMs ?? this.clock.now();
    this.byKey.set(peerKey(peer), { peer, value, idleMs, usedMs });
    if (idleMs !== undefined) this.cancelSweep ??= this.clock.after(sweepMs, () => this.sweep());
  }

  delete(peer: PacketPeer): void {
    this.byKey.delete(peerKey(peer));
  }

  entries(): readonly SweepEntry<T>[] {
    return [...this.byKey.values()];
  }

  private sweep(): void {
    this.cancelSweep = undefined;
    const nowMs = this.clock.now();
    let goesOn = false;
    for (const { peer, value, idleMs, usedMs } of this.entries()) {
      if (idleMs === undefined) continue;
      const isIdle = nowMs - usedMs >= idleMs;
      goesOn ||= !isIdle;
      if (!isIdle) continue;
      this.delete(peer);
      this.onIdle(peer, value);
    }
    if (goesOn) this.cancelSweep ??= this.clock.after(sweepMs, () => this.sweep());
  }

  /** Forgets all, and tells nothing. */
  close(): void {
    this.cancelSweep?.();
    this.byKey.clear();
  }
}
