import type { Socket } from 'node:net';
import type { PathFacts, PathReader, SocketPath } from '../transport/transport.ts';
import type { NativeSockets, TcpInfo } from './addon.ts';
import { BbrRestart } from './bbr-restart.ts';
import { fdOf } from './fd-of.ts';
import { PaceGuard } from './pace-guard.ts';
import { keepAlive } from './socket-options.ts';

/** A path that is good again is not waited for longer than this, where round trips are short. */
const leastRetransmitMs = 1_000;

/** The longest that Linux takes. */
const mostRetransmitMs = 120_000;

/** SO_MAX_PACING_RATE that is none. */
const unbounded = 0xffffffff;

/**
 * Sets on the socket of a link what Node cannot: a short send queue (of at most `notSentLowatBytes` that the kernel has
 * not sent), TCP keepalive as a last resort, and that lost bytes go again each second at the least, so that streams move
 * soon after an outage that the link survives (TCP_RTO_MAX_MS; P8.1); and BBR where the kernel has it, which neither fills
 * the queue of the narrowest hop nor takes each loss for a full one (P2.1). Answers its path, which is to be read
 * as {@link PathReader} says: BBR begins anew where it crawls ({@link BbrRestart}), and is bounded where bursts mislead it
 * ({@link PaceGuard}).
 */
export function tuneLink(
  native: NativeSockets,
  socket: Socket,
  notSentLowatBytes: number,
): SocketPath | undefined {
  const fd = fdOf(socket);
  if (fd === undefined) return undefined;
  native.setNotSentLowat(fd, notSentLowatBytes);
  const hasBbr = native.useBbr(fd) === undefined;
  keepAlive(native, socket);
  const limit = new RetransmitLimit(ms => void native.setRetransmitMax(fd, ms));
  const bbr = hasBbr ? new BbrRestart(() => void native.restartBbr(fd)) : undefined;
  const guard = hasBbr ? new PaceGuard(rate => void native.setPacingRate(fd, rate ?? unbounded)) : undefined;
  const read: PathReader = () => {
    const info = readPath(native, socket);
    if (info === undefined) return undefined;
    const nowMs = performance.now();
    bbr?.onInfo(info, nowMs);
    guard?.onInfo(info, nowMs);
    const facts = factsOf(info);
    limit.onRoundTrip(facts.roundTripMs);
    return facts;
  };
  // What SYN has measured: what follows is not to wait longer either.
  read();
  return { read, unsentBytes: () => unsentOf(native, socket) };
}

/**
 * How long a link's machine may wait before it sends again what was lost: a second, or four round trips, since what is sent
 * again before its answer can have come is wasted (RFC 6298 §2).
 */
export class RetransmitLimit {
  private readonly set: (ms: number) => void;
  private nowMs = 0;

  /** `set` is called where the limit changes by much. */
  constructor(set: (ms: number) => void) {
    this.set = set;
  }

  /** The path's round trip of now. */
  onRoundTrip(roundTripMs: number): void {
    const ms = Math.min(Math.max(leastRetransmitMs, Math.ceil(4 * roundTripMs)), mostRetransmitMs);
    if (ms <= this.nowMs && ms * 2 > this.nowMs) return;
    this.nowMs = ms;
    this.set(ms);
  }
}

function unsentOf(native: NativeSockets, socket: Socket): number | undefined {
  const fd = fdOf(socket);
  const bytes = fd === undefined ? 'EBADF' : native.unsentBytes(fd);
  return typeof bytes === 'string' ? undefined : bytes;
}

function readPath(native: NativeSockets, socket: Socket): TcpInfo | undefined {
  // Asked for anew each time: the number belongs to somebody else as soon as the socket is closed.
  const fd = fdOf(socket);
  const info = fd === undefined ? 'EBADF' : native.tcpInfo(fd);
  return typeof info === 'string' ? undefined : info;
}

function factsOf(info: TcpInfo): PathFacts {
  return {
    acknowledgedBytes: info.bytesAcked,
    sinceAckMs: info.sinceAckMs,
    outstanding: info.unackedSegments > 0 || info.notSentBytes > 0,
    roundTripMs: info.rttUs / 1000,
  };
}
