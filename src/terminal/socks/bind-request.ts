import type { Endpoint } from '../forward-tcp.ts';
import { joinSockets } from '../join-sockets.ts';
import { lanAddress, sourceAddressFor } from '../lan-address.ts';
import type { TunnelServer } from '../tunnel-server.ts';
import type { TunnelSocket } from '../tunnel-socket.ts';
import { addressOf } from './resolved-target.ts';
import type { SocksClient, SocksService } from './socks-client.ts';
import { replyBytes, socksReply } from './socks-messages.ts';

/** One connection: whoever else comes is not the one. */
const backlog = 1;

/**
 * BIND (RFC 1928 §4): a listener on the mediator's address that faces `target`, and the first connection from there; what
 * comes from others is reset. An FTP client in active mode lives by it.
 * @throws TunnelError when the mediator refuses
 */
export async function serveBind(client: SocksClient, target: Endpoint, service: SocksService): Promise<void> {
  const { socket, reader } = client;
  const { attachment, report } = service;
  const expected = await addressOf(attachment, target.host);
  const facing = isUnspecified(expected) ? undefined : sourceAddressFor(report(), expected);
  const address = facing ?? lanAddress(report(), attachment.peer.mediator);
  const server = await attachment.listen({ address, backlog, allowHalfOpen: true });
  const at = server.address();
  socket.write(replyBytes(socksReply.succeeded, at?.address, at?.port));
  const remote = await firstFrom(expected, server, reader.gone);
  server.close();
  if (remote === undefined) return void socket.destroy();
  reader.release();
  socket.write(replyBytes(socksReply.succeeded, remote.remoteAddress, remote.remotePort));
  joinSockets(socket, remote);
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** Undefined when the client, or the mediator, is gone before somebody came. */
function firstFrom(
  expected: string,
  server: TunnelServer,
  gone: Promise<void>,
): Promise<TunnelSocket | undefined> {
  return new Promise(resolve => {
    void gone.then(() => resolve(undefined));
    server.on('error', () => resolve(undefined));
    server.once('close', () => resolve(undefined));
    server.on('connection', remote => {
      if (isUnspecified(expected) || remote.remoteAddress === expected) resolve(remote);
      else remote.on('error', () => {}).resetAndDestroy();
    });
  });
}
