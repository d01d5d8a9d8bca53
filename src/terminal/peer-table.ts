import type { Clock } from '../base/clock.ts';
import { IdleTimer } from './idle-timer.ts';

/** How long a UDP peer may be silent before its socket is closed (P7.6). */
export const peerIdleMs = 120_000;

/** How many UDP peers one forward serves at once. */
export const maxPeers = 256;

interface Peer<T> {
  readonly value: T;
  readonly idle: IdleTimer;
}

/** Something per UDP peer, by its address and number: made with the first datagram, closed after silence, capped. */
export class PeerTable<T> {
  /** Peers that were turned away because the table was full. */
  refused = 0;
  private readonly peers = new Map<string, Peer<T>>();
  private readonly clock: Clock;
  private readonly close: (value: T) => void;

  constructor(clock: Clock, close: (value: T) => void) {
    this.clock = clock;
    this.close = close;
  }

  /** How many there are. */
  get size(): number {
    return this.peers.size;
  }

  /** That of the peer, made by `make` when there is none; undefined when the table is full. Counts as activity. */
  get(address: string, port: number, make: () => T): T | undefined {
    const key = `${address} ${port}`;
    const known = this.peers.get(key) ?? this.add(key, make);
    known?.idle.touch();
    return known?.value;
  }

  private add(key: string, make: () => T): Peer<T> | undefined {
    if (this.peers.size >= maxPeers) {
      this.refused++;
      return undefined;
    }
    const peer = { value: make(), idle: new IdleTimer(this.clock, () => this.drop(key)) };
    peer.idle.set(peerIdleMs);
    this.peers.set(key, peer);
    return peer;
  }

  /** Activity in the other direction. */
  touch(address: string, port: number): void {
    this.peers.get(`${address} ${port}`)?.idle.touch();
  }

  /** Closes that of one peer, if it is still `value`. */
  remove(address: string, port: number, value: T): void {
    const key = `${address} ${port}`;
    if (this.peers.get(key)?.value === value) this.drop(key);
  }

  private drop(key: string): void {
    const peer = this.peers.get(key);
    this.peers.delete(key);
    peer?.idle.stop();
    if (peer !== undefined) this.close(peer.value);
  }

  /** Closes all. */
  clear(): void {
    for (const key of [...this.peers.keys()]) this.drop(key);
  }
}
