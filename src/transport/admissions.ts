import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { AcceptLimiter, type AcceptLimits, type OverLimit } from './accept-limiter.ts';
import { reportFault } from './fault.ts';
import { remoteOf } from './tls-transport.ts';

/**
 * TCP connections on their way to being somebody's TLS socket.
 *
 *     accepted ──limiter──> admitted ──handshake, ALPN──> handed over (counted until it has authenticated or closed)
 *         └─ refused            └─ too-slow, tls-failed, no-alpn
 *
 * Node gives no way from a TLS socket to the TCP socket below it, so admissions are found by the two addresses and
 * numbers of the connection, which no two live ones share.
 */

/** Why a connection was not handed over. `internal` is a fault of our own. */
export type RefusalReason = OverLimit | 'too-slow' | 'tls-failed' | 'no-alpn' | 'internal';

/** What is known of one admitted connection. */
export interface Admission {
  readonly remote: string;
  /** Pin of the key that this connection's handshake uses. */
  readonly serverPin: Buffer;
  /** Ends its being counted as not authenticated; may be called again. */
  readonly release: () => void;
  /** Why it will not be handed over; the first one to know says it. */
  failure: { readonly reason: RefusalReason; readonly cause: Error | undefined } | undefined;
}

/** How long a connection may have said nothing at all before another may have its place, once there are no more. */
const silentMs = 1_000;

interface Pending {
  readonly socket: Socket;
  readonly sinceMs: number;
  /** Calls its deadline off. */
  readonly cancel: () => void;
}

/** What {@link Admissions} need. */
export interface AdmissionRules {
  readonly limits: AcceptLimits;
  readonly clock: Clock;
  readonly handshakeTimeoutMs: number;
  /** Told of every connection that is refused or fails. */
  readonly onRefused: (remote: string, reason: RefusalReason, cause: Error | undefined) => void;
}

function connectionKey(socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

/** See the head of this file. */
export class Admissions {
  private readonly rules: AdmissionRules;
  private readonly limiter: AcceptLimiter;
  private readonly byConnection = new Map<string, Admission>();
  /** Those not handed over, each with its TCP socket and how to call its deadline off. */
  private readonly pending = new Map<Admission, Pending>();
  /** Totals by reason. */
  readonly refused: Record<RefusalReason, number> = {
    'over-limit': 0,
    'over-source-limit': 0,
    'too-slow': 0,
    'tls-failed': 0,
    'no-alpn': 0,
    internal: 0,
  };

  constructor(rules: AdmissionRules) {
    this.rules = rules;
    this.limiter = new AcceptLimiter(rules.limits);
  }

  /** Connections that have not authenticated, handed over or not. */
  get unauthenticated(): number {
    return this.limiter.unauthenticated;
  }

  /** True when TLS may begin on this fresh TCP socket; otherwise it is reset. */
  admit(socket: Socket, serverPin: Buffer): boolean {
    socket.on('error', () => {}); // 'close' follows and says all
    const remote = remoteOf(socket.remoteAddress, socket.remotePort);
    const release = this.placeFor(socket.remoteAddress ?? '');
    if (typeof release !== 'string') {
      this.track(socket, { remote, serverPin, release, failure: undefined });
      return true;
    }
    // A RST: no FIN to wait for, no TIME_WAIT to keep.
    socket.resetAndDestroy();
    this.refuse(remote, release, undefined);
    return false;
  }

  private placeFor(address: string): (() => void) | OverLimit {
    const place = this.limiter.admit(address);
    return place === 'over-limit' && this.makeRoom() ? this.limiter.admit(address) : place;
  }

  /** Whoever opens connections and says nothing must not keep out those who do: the one that is silent longest goes. */
  private makeRoom(): boolean {
    const latestMs = this.rules.clock.now() - silentMs;
    for (const [admission, { socket, sinceMs }] of this.pending) {
      if (sinceMs > latestMs) return false;
      if (socket.bytesRead > 0) continue;
      admission.failure ??= { reason: 'over-limit', cause: undefined };
      admission.release();
      socket.resetAndDestroy();
      return true;
    }
    return false;
  }

  /** The admission of a TLS socket; undefined when its connection is gone. */
  find(socket: Socket): Admission | undefined {
    return this.byConnection.get(connectionKey(socket));
  }

  /** The connection is its receiver's from now on. */
  handOver(admission: Admission): void {
    this.pending.get(admission)?.cancel();
    this.pending.delete(admission);
  }

  /** Counts and tells. */
  refuse(remote: string, reason: RefusalReason, cause: Error | undefined): void {
    this.refused[reason]++;
    try {
      this.rules.onRefused(remote, reason, cause);
    } catch (thrown) {
      reportFault(thrown);
    }
  }

  /** Closes what is not handed over. */
  close(): void {
    for (const { socket } of this.pending.values()) socket.destroy();
  }

  private track(socket: Socket, admission: Admission): void {
    const key = connectionKey(socket);
    const cancel = this.rules.clock.after(this.rules.handshakeTimeoutMs, () => {
      admission.failure ??= { reason: 'too-slow', cause: undefined };
      socket.destroy();
    });
    this.byConnection.set(key, admission);
    this.pending.set(admission, { socket, sinceMs: this.rules.clock.now(), cancel });
    socket.once('close', () => this.forget(key, admission));
  }

  private forget(key: string, admission: Admission): void {
    if (this.byConnection.get(key) === admission) this.byConnection.delete(key);
    admission.release();
    if (!this.pending.has(admission)) return;
    this.handOver(admission);
    const { reason, cause } = admission.failure ?? { reason: 'tls-failed', cause: undefined };
    this.refuse(admission.remote, reason, cause);
  }
}
