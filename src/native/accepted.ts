import type { Socket } from 'node:net';
import { EntremiseError } from '../base/errors.ts';
import type { NativeSockets } from './addon.ts';
import { connectError } from './errno.ts';
import { fdOf } from './fd-of.ts';
import { readInto, type SlabReader, socketOnFd } from './slab-reader.ts';

/**
 * An accepted connection on a socket that reads into slabs, which net.Server cannot give. `accepted` must come
 * straight from a server with `pauseOnConnect`; it is used up. The new one comes paused, half-close kept.
 *
 * Without the addon it is the same socket, whose bytes are copied.
 *
 * A second fd of the connection goes to a new Socket and the first is closed, which the peer does not notice.
 * The server no longer counts the connection: its 'close' and maxConnections do not see it.
 * @throws EntremiseError limit (no more fds), wrong-state (closed already); `accepted` is then untouched
 */
export function rewrapAccepted(
  native: NativeSockets | undefined,
  accepted: Socket,
  slabs: SlabReader,
): Socket {
  const fd = fdOf(accepted);
  if (fd === undefined) throw new EntremiseError('wrong-state', { message: 'the connection is closed' });
  if (native === undefined) {
    accepted.pause();
    readInto(accepted, slabs);
    return accepted;
  }
  const copy = native.duplicate(fd);
  if (typeof copy === 'string')
    throw connectError(copy, accepted.remoteAddress ?? 'peer', accepted.remotePort ?? 0);
  const socket = socketOnFd(copy, slabs);
  native.release(copy);
  accepted.destroy();
  return socket;
}
