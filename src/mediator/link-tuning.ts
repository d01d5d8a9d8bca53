import type { Socket } from 'node:net';
import type { NativeSockets } from '../native/addon.ts';
import { fdOf } from '../native/fd-of.ts';
import { keepAlive } from '../native/socket-options.ts';

/**
 * Bytes of a link that may wait unsent in the kernel. The queue that makes a command wait behind bulk is the kernel's,
 * not ours: what is in it cannot be overtaken (P2.1). 16 KiB keeps full rate and a short queue.
 */
const notSentLowatBytes = 16 * 1024;

/** Sets on the socket of a link what Node cannot: a short send queue, and TCP keepalive as a last resort (P8). */
export function tuneLink(native: NativeSockets, socket: Socket): void {
  const fd = fdOf(socket);
  if (fd === undefined) return;
  native.setNotSentLowat(fd, notSentLowatBytes);
  keepAlive(native, socket);
}
