import type { WireSighting } from '../../native/packet-capture.ts';

/**
 * Joins what was seen on the wire with what sockets tell, so that each thing that happens to a connection is told once.
 * What a socket has is the socket's to tell: `connected`, FIN and RST of streams. The wire tells the rest: that somebody
 * tried, that the gateway refused, how a connection ended that never became a stream.
 *
 *   attempt --RST of the gateway with sequence 0--> over (refused)
 *      | \--nothing of that within the pause--> open
 *      |                                         |
 *      +----------------claim()------------------+--> claimed --end()--> over
 *                                                        \--release()--> open
 *
 * The wire is told of some milliseconds late, so a socket may be faster or slower than the SYN of its connection. FIN and
 * RST of an attempt are kept for a pause: if a socket claims it by then they are the socket's to tell.
 */

/** What the wire alone tells of a connection. */
export interface WireEvent {
  /** `refused`: the gateway answered the SYN with a RST; then there is no `syn` for it. */
  readonly kind: 'syn' | 'refused' | 'fin' | 'rst';
  readonly from: 'peer' | 'gateway';
  readonly timeMs: number;
  /** As in {@link WireSighting}. */
  readonly peer: string;
}

/** How long an attempt is waited with for a RST, or for the socket of its connection. */
export const attemptPauseMs = 100;

/** Connections that are remembered; beyond that the oldest is forgotten, and what happens to it not told. */
export const maxConnections = 8192;

interface Connection<Port> {
  readonly port: Port;
  readonly peer: string;
  phase: 'attempt' | 'open' | 'claimed' | 'over';
  /** Of the SYN, once it was seen. */
  sequence: number | undefined;
  /** The SYN, while it is not told. */
  untold: WireSighting | undefined;
  /** FIN and RST that nobody has told; each once a side. */
  kept: WireSighting[];
  readonly seen: Set<string>;
  dueMs: number;
}

/** See the head of this file. One for all ports; a port is whatever its owner calls it. */
export class Connections<Port> {
  private readonly tell: (port: Port, event: WireEvent) => void;
  private readonly all = new Map<string, Connection<Port>>();
  /** Attempts, in the order in which they are due. */
  private readonly attempts = new Set<Connection<Port>>();

  constructor(tell: (port: Port, event: WireEvent) => void) {
    this.tell = tell;
  }

  /** Connections that are remembered. */
  get count(): number {
    return this.all.size;
  }

  /** When {@link tick} is due; undefined when nothing waits. */
  get nextMs(): number | undefined {
    for (const { dueMs } of this.attempts) return dueMs;
    return undefined;
  }

  /** A packet of the connection `key` of that port was seen. */
  saw(port: Port, key: string, sighting: WireSighting, nowMs: number): void {
    if (sighting.kind === 'syn') this.sawSyn(port, key, sighting, nowMs);
    else this.sawEnd(this.all.get(key), sighting);
  }

  private sawSyn(port: Port, key: string, sighting: WireSighting, nowMs: number): void {
    const known = this.all.get(key);
    if (known?.sequence === sighting.sequence) return;
    // The socket was faster; or a stranger plays with a connection that it still has.
    if (known !== undefined && (known.sequence === undefined || known.phase === 'claimed')) {
      known.sequence = sighting.sequence;
      return this.tellOf(known, 'syn', sighting);
    }
    if (known !== undefined) this.settle(known);
    const made = this.remember(port, key, sighting.peer, 'attempt');
    made.sequence = sighting.sequence;
    made.untold = sighting;
    made.dueMs = nowMs + attemptPauseMs;
    this.attempts.add(made);
  }

  private sawEnd(connection: Connection<Port> | undefined, sighting: WireSighting): void {
    if (connection === undefined || connection.phase === 'claimed' || connection.phase === 'over') return;
    const { kind, from, sequence } = sighting;
    // RFC 9293 §3.5.2: a SYN that nobody listens for is answered by a RST with sequence 0.
    if (connection.phase === 'attempt' && kind === 'rst' && from === 'gateway' && sequence === 0)
      return this.refused(connection);
    const what = `${kind} ${from}`;
    if (connection.seen.has(what)) return;
    connection.seen.add(what);
    connection.kept.push(sighting);
    if (connection.phase === 'open') this.settle(connection);
  }

  private refused(connection: Connection<Port>): void {
    const { untold } = connection;
    this.attempts.delete(connection);
    connection.phase = 'over';
    connection.untold = undefined;
    connection.kept = [];
    if (untold !== undefined) this.tellOf(connection, 'refused', untold);
  }

  /** A socket has the connection, and tells of it from here on. */
  claim(port: Port, key: string, peer: string): void {
    const known = this.all.get(key);
    const isIt = known !== undefined && (known.phase === 'attempt' || known.phase === 'open');
    const connection = isIt ? known : this.remember(port, key, peer, 'claimed');
    this.attempts.delete(connection);
    connection.phase = 'claimed';
    connection.kept = [];
    this.tellSyn(connection);
  }

  /** The socket lets go of a connection of which it has told nothing. */
  release(key: string): void {
    const known = this.all.get(key);
    if (known?.phase === 'claimed') known.phase = 'open';
  }

  /** The socket has told of the end. What is still on the wire of the connection is nothing new. */
  end(key: string): void {
    const known = this.all.get(key);
    if (known?.phase === 'claimed') known.phase = 'over';
  }

  /** Tells of attempts that neither a RST nor a socket has come for. */
  tick(nowMs: number): void {
    for (const connection of this.attempts) {
      if (connection.dueMs > nowMs) return;
      this.settle(connection);
    }
  }

  /** The port is gone: nothing of it is told any more. */
  forget(port: Port): void {
    for (const [key, connection] of this.all) {
      if (connection.port !== port) continue;
      this.all.delete(key);
      this.attempts.delete(connection);
    }
  }

  private remember(
    port: Port,
    key: string,
    peer: string,
    phase: Connection<Port>['phase'],
  ): Connection<Port> {
    // Anew, so that it is the youngest.
    this.all.delete(key);
    const made = { port, peer, phase, sequence: undefined, untold: undefined, kept: [], dueMs: 0 };
    const connection: Connection<Port> = { ...made, seen: new Set() };
    this.all.set(key, connection);
    if (this.all.size > maxConnections) this.forgetOldest();
    return connection;
  }

  private forgetOldest(): void {
    for (const [key, oldest] of this.all) {
      this.all.delete(key);
      return this.settle(oldest);
    }
  }

  /** Tells what is kept of an attempt or an open connection. */
  private settle(connection: Connection<Port>): void {
    this.attempts.delete(connection);
    if (connection.phase === 'attempt') connection.phase = 'open';
    this.tellSyn(connection);
    const { kept } = connection;
    connection.kept = [];
    for (const sighting of kept) this.tellOf(connection, sighting.kind, sighting);
  }

  private tellSyn(connection: Connection<Port>): void {
    const { untold } = connection;
    connection.untold = undefined;
    if (untold !== undefined) this.tellOf(connection, 'syn', untold);
  }

  private tellOf(
    { port, peer }: Connection<Port>,
    kind: WireEvent['kind'],
    { from, timeMs }: WireSighting,
  ): void {
    this.tell(port, { kind, from, timeMs, peer });
  }
}
