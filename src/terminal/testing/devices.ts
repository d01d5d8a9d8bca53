import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import net, { type Server, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** Real devices on loopback for the tests of the SDK. */

/** A TCP server that hands its connections to `serve`; closed with all of them when the test ends. */
export async function device(
  t: ExecutionContext,
  serve: (socket: Socket) => void,
  host = '127.0.0.1',
): Promise<{ port: number; server: Server }> {
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no number');
  return { port: address.port, server };
}

/** Everything that a readable gives until it ends or fails. */
export async function readAll(readable: NodeJS.ReadableStream): Promise<Buffer> {
  const pieces: Buffer[] = [];
  // Not by iteration, which destroys a socket when its readable half ends.
  readable.on('data', piece => pieces.push(Buffer.from(piece)));
  await once(readable, 'end');
  return Buffer.concat(pieces);
}

/**
 * A number of 127.0.0.1 where nobody listens. Of those that the kernel gives nobody by itself, and asked for by connecting: another
 * test's port 0 does not take it, and no socket of ours was there, a copy of which a program that is just being started still had.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const number = randomInt(10_000, 32_000);
    const socket = net.connect(number, '127.0.0.1');
    const failure: unknown = await once(socket, 'connect').catch((error: unknown) => error);
    socket.destroy();
    if (failure instanceof Error && 'code' in failure && failure.code === 'ECONNREFUSED') return number;
  }
}

/** Bytes that differ everywhere. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0, state = 1; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}

/** What happens to an emitter, in order, until 'close'. */
export function eventsUntilClose(
  emitter: NodeJS.EventEmitter,
  names: readonly string[],
): Promise<{ name: string; args: unknown[] }[]> {
  const seen: { name: string; args: unknown[] }[] = [];
  for (const name of names) emitter.on(name, (...args: unknown[]) => seen.push({ name, args }));
  return new Promise(resolve => {
    emitter.on('close', (...args: unknown[]) => {
      seen.push({ name: 'close', args });
      resolve(seen);
    });
  });
}
