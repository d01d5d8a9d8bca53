import { once } from 'node:events';
import { ExposedPort, type ExposeOptions, type OpenedPort } from './exposed-port.ts';
import { joinToTarget } from './join-to-target.ts';
import type { MediatorAttachment } from './mediator-attachment.ts';
import type { TunnelServer } from './tunnel-server.ts';
import type { TunnelSocket } from './tunnel-socket.ts';

/** Lets devices of the LAN reach a TCP service of this machine. Half-close and RST are kept both ways. */
export function exposeTcp(options: ExposeOptions): ExposedPort {
  const exposed: ExposedPort = new ExposedPort(options, async (attachment, at) => {
    const server = await listen(attachment, at);
    server.on('connection', remote => connectLocally(exposed, options, remote));
    return opened(server, at);
  });
  return exposed;
}

function listen(
  attachment: MediatorAttachment,
  at: { readonly address: string; readonly port: number },
): Promise<TunnelServer> {
  return attachment.listen({ ...at, choice: 'mandatory', allowHalfOpen: true });
}

function opened(server: TunnelServer, at: { readonly address: string; readonly port: number }): OpenedPort {
  server.on('error', () => {});
  const { port } = server.address() ?? at;
  return {
    at: { host: at.address, port },
    closed: once(server, 'close').then(() => {}),
    close: () => void server.close(),
  };
}

function connectLocally(exposed: ExposedPort, { target }: ExposeOptions, remote: TunnelSocket): void {
  const device = { host: remote.remoteAddress ?? '', port: remote.remotePort ?? 0 };
  joinToTarget(remote, target, error => exposed.emit('refused', { device, error }));
}
