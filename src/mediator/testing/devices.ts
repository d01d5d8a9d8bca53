import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

/** Devices of the LAN for tests: real sockets on loopback. */

/** A device that accepts connections. */
export interface Device {
  readonly number: number;
  readonly server: Server;
  /** Connections, in the order in which they came. */
  readonly sockets: Socket[];
  /** The next connection, or the one that has come and was not given yet. */
  next(): Promise<Socket>;
  close(): void;
}

/** A listening device; `onConnection` plays it. Half-open connections are kept. */
export async function device(
  onConnection: (socket: Socket) => void = () => {},
  host = '127.0.0.1',
): Promise<Device> {
  const sockets: Socket[] = [];
  let given = 0;
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {});
    sockets.push(socket);
    onConnection(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    number: (server.address() as AddressInfo).port,
    server,
    sockets,
    async next() {
      while (sockets.length <= given) await once(server, 'connection');
      const socket = sockets[given++];
      if (socket === undefined) throw new Error('no connection');
      return socket;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A device whose kernel answers no more SYNs: it listens, accepts nothing, and its queue is full. */
export async function deafDevice(): Promise<{ readonly number: number; close(): Promise<void> }> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const server = require('node:net').createServer().listen(0, '127.0.0.1', 1, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true },
  );
  const [number]: unknown[] = await once(worker, 'message');
  if (typeof number !== 'number') throw new Error('the deaf device does not listen');
  const fillers = [1, 2].map(() => net.connect(number, '127.0.0.1'));
  await Promise.all(fillers.map(filler => once(filler, 'connect')));
  return {
    number,
    async close() {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}

/** How a connection ended for the device. */
export interface DeviceEnd {
  readonly text: string;
  /** `fin`, or the code of the error. */
  readonly end: string;
}

/** Reads a device's socket to its end. */
export function readToEnd(socket: Socket): Promise<DeviceEnd> {
  const pieces: Buffer[] = [];
  return new Promise(resolve => {
    const ended = (end: string) => resolve({ text: Buffer.concat(pieces).toString('latin1'), end });
    socket.on('data', piece => pieces.push(piece));
    socket.once('end', () => ended('fin'));
    socket.once('error', error => ended('code' in error ? String(error.code) : error.message));
  });
}

/** A device that connects. */
export async function dialIn(number: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = net.connect({ port: number, host, allowHalfOpen: true });
  await once(socket, 'connect');
  socket.on('error', () => {});
  return socket;
}

/** Bytes that are the same for the same seed and repeat nowhere near. */
export function pattern(lengthBytes: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  for (let at = 0, state = seed; at < lengthBytes; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}
