import type { Socket } from 'node:net';
import { loadAddon } from '../native/addon.ts';
import { WatchedSocket } from '../native/watched-socket.ts';
import type { TunnelSocket } from './tunnel-socket.ts';

/**
 * A local TCP connection and one of a mediator, joined: bytes, half-close and aborts both ways.
 *
 *   local FIN  → FIN      local RST  → RESET, behind the bytes that came before it
 *   FIN → local FIN       RESET, detach and all else → local RST, likewise
 *
 * Local aborts are seen as well as the machine allows: without the addon Node 20 and 22 show a RST behind unread data
 * as a clean end, and a socket that is not read shows none (docs/sdk.md).
 */

/** Told apart once: the addon is looked for on disk. */
const native = loadAddon();

/** What may wait in Node for the local application, above what its kernel takes. */
const localBacklogBytes = 256 * 1024;

/** Joins the two; both are used up. `remote` must have been made with allowHalfOpen. */
export function joinSockets(socket: Socket, remote: TunnelSocket): void {
  let wasReset = false;
  const local = new WatchedSocket(
    socket,
    {
      onData(chunk) {
        if (!remote.write(chunk)) local.pause();
      },
      onDrain: () => remote.resume(),
      onFin: () => void remote.end(),
      onReset() {
        wasReset = true;
        remote.resetBehindWritten();
      },
      onClose() {
        if (wasReset) return;
        // After both ends it is closed already, or closes when the peer has everything.
        if (!remote.writableEnded || !remote.readableEnded) remote.resetAndDestroy();
      },
    },
    { native },
  );
  const write = batchedWriter(socket, local);
  remote.on('drain', () => local.resume());
  remote.on('data', (bytes: Buffer) => {
    write(bytes);
    if (socket.writableLength > localBacklogBytes) remote.pause();
  });
  remote.on('end', () => local.end());
  remote.on('error', () => {});
  remote.once('close', () => {
    if (!remote.readableEnded || !remote.writableFinished) resetBehindData(socket, local);
  });
  local.resume();
}

/** Frames that come together leave in one system call: writes are corked until the event loop turns. */
function batchedWriter(socket: Socket, local: WatchedSocket): (bytes: Buffer) => void {
  let corked = false;
  return bytes => {
    if (!corked) {
      corked = true;
      socket.cork();
      setImmediate(() => {
        corked = false;
        socket.uncork();
      });
    }
    local.write(bytes);
  };
}

/** What came before the RESET is the application's (P3.5): it goes to the kernel first. */
function resetBehindData(socket: Socket, local: WatchedSocket): void {
  if (socket.writableLength === 0) return local.reset();
  local.write(Buffer.alloc(0), () => local.reset());
}
