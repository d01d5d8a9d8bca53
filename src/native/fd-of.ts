import type { Server, Socket } from 'node:net';

/**
 * The fd of a TCP or TLS socket or of a TCP server, for the addon's functions; undefined when it has none (any more).
 *
 * Node offers no public way. `_handle.fd` has been there in every version, also for TLS sockets, whose handle
 * reports the TCP connection's fd; fd-of.test.ts holds it.
 */
export function fdOf(socket: Socket | Server): number | undefined {
  const handle: unknown = '_handle' in socket ? socket._handle : undefined;
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined;
  return typeof handle.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}
