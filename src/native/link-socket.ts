import type { Socket } from 'node:net';
import type { PathReader } from '../transport/transport.ts';
import type { NativeSockets } from './addon.ts';
import { fdOf } from './fd-of.ts';
import { keepAlive } from './socket-options.ts';

/**
 * Sets on the socket of a link what Node cannot: a short send queue (of at most `notSentLowatBytes` that the kernel has
 * not sent), and TCP keepalive as a last resort. Answers what reads its path (P8.1).
 */
export function tuneLink(
  native: NativeSockets,
  socket: Socket,
  notSentLowatBytes: number,
): PathReader | undefined {
  const fd = fdOf(socket);
  if (fd === undefined) return undefined;
  native.setNotSentLowat(fd, notSentLowatBytes);
  keepAlive(native, socket);
  return () => readPath(native, socket);
}

function readPath(native: NativeSockets, socket: Socket): ReturnType<PathReader> {
  // Asked for anew each time: the number belongs to somebody else as soon as the socket is closed.
  const fd = fdOf(socket);
  const info = fd === undefined ? 'EBADF' : native.tcpInfo(fd);
  if (typeof info === 'string') return undefined;
  return {
    acknowledgedBytes: info.bytesAcked,
    sinceAckMs: info.sinceAckMs,
    outstanding: info.unackedSegments > 0 || info.notSentBytes > 0,
    roundTripMs: info.rttUs / 1000,
  };
}
