import { once } from 'node:events';
import type { Endpoint } from '../forward-tcp.ts';
import { joinSockets } from '../join-sockets.ts';
import type { MediatorAttachment } from '../mediator-attachment.ts';
import type { TunnelSocket } from '../tunnel-socket.ts';
import type { SocksClient, SocksService } from './socks-client.ts';
import { replyBytes, socksReply } from './socks-messages.ts';

/**
 * A connection to `target`; `isGone` ends it when the client does not wait for it.
 * @throws TunnelError when the mediator refuses
 */
export async function connectFor(
  client: SocksClient['socket'],
  attachment: MediatorAttachment,
  { host, port }: Endpoint,
): Promise<TunnelSocket> {
  const remote = attachment.connect({ host, port, allowHalfOpen: true });
  const giveUp = () => remote.resetAndDestroy();
  client.once('close', giveUp);
  try {
    await once(remote, 'connect');
    return remote;
  } finally {
    client.off('close', giveUp);
  }
}

/** CONNECT (RFC 1928 §4). @throws TunnelError when the mediator refuses */
export async function serveConnect(
  { socket, reader }: SocksClient,
  target: Endpoint,
  { attachment }: SocksService,
): Promise<void> {
  const remote = await connectFor(socket, attachment, target);
  if (socket.destroyed) return void remote.resetAndDestroy();
  reader.release();
  socket.write(replyBytes(socksReply.succeeded, remote.localAddress, remote.localPort));
  joinSockets(socket, remote);
}
