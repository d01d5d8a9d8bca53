import type { Socket } from 'node:net';

/**
 * Ends a connection by RST; one whose FIN is just on its way ends by that. libuv refuses to reset such a one (EINVAL), and
 * Node then never closes its fd, which keeps the process alive.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
