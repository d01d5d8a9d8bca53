import { connect, createServer, type Server, type Socket } from 'node:net';

/** Ports of this machine, for tests on loopback. */

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A device that sends everything back; gives its number. */
export async function echo(t: { teardown(run: () => void): void }): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return portOf(server);
}

/** Sends `text` to a port of this machine and gives what comes back until the end. */
export function askPort(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.end(text));
    socket.setEncoding('utf8').on('data', piece => {
      heard += piece;
    });
    socket.on('end', () => resolve(heard)).on('error', reject);
  });
}

/** A number that is free now, and that nobody is given who asks for any: other tests do, between now and its use. */
export async function freeNumber(): Promise<number> {
  const candidate = 15_000 + Math.floor(Math.random() * 15_000);
  const server = createServer();
  const isFree = await new Promise<boolean>(resolve => {
    server.on('error', () => resolve(false)).listen(candidate, '127.0.0.1', () => resolve(true));
  });
  await new Promise<void>(resolve => server.close(() => resolve()));
  return isFree ? candidate : freeNumber();
}
