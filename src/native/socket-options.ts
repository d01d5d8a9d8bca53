import type { Socket } from 'node:net';
import type { ErrnoName, NativeSockets } from './addon.ts';
import { fdOf } from './fd-of.ts';

/**
 * TCP keepalive as every connection of the product has it: first probe after 60 s of silence, then every 10 s,
 * dead after 3 without an answer. Only a net under the protocol's own keepalives (P8): it proves that a kernel lives.
 */
export const tcpKeepAlive = { idleS: 60, intervalS: 10, count: 3 } as const;

/** Sets {@link tcpKeepAlive} on a connected TCP or TLS socket; EBADF when it is closed. */
export function keepAlive(native: NativeSockets | undefined, socket: Socket): ErrnoName | undefined {
  if (native === undefined) {
    // Node knows the first of them alone.
    socket.setKeepAlive(true, tcpKeepAlive.idleS * 1000);
    return undefined;
  }
  const fd = fdOf(socket);
  if (fd === undefined) return 'EBADF';
  return native.setKeepAlive(fd, tcpKeepAlive.idleS, tcpKeepAlive.intervalS, tcpKeepAlive.count);
}
