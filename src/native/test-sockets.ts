/** Real TCP connections on loopback for the tests of this folder. */
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { requireAddon } from './addon.ts';
import { fdOf } from './fd-of.ts';

/** Resolves when `holds` does; rejects with `what` when it does not within `withinMs`: emulated processors take their time. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}

/**
 * Resolves when `isFree` says that a number which was closed can be had. Test files share a process: while another of them
 * starts a program, what is closed here stays open in that program for a moment, until it is its own (fork and exec).
 */
export function untilFree(isFree: () => boolean | Promise<boolean>, withinMs?: number): Promise<void> {
  return until('the number is free', isFree, withinMs);
}

/** True where this process may open packet sockets. */
export function mayCapture(): boolean {
  const native = requireAddon();
  const capture = native.startCapture(() => {});
  if (typeof capture === 'number') native.stopCapture(capture);
  return typeof capture === 'number';
}

/** The number that `server` listens on. */
export function numberOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no number');
  return address.port;
}

/** A listening server as the mediator's are; closed with what it accepted by the returned function. */
export async function listener(host = '127.0.0.1'): Promise<{ server: Server; port: number }> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, host);
  await once(server, 'listening');
  return { server, port: numberOf(server) };
}

/** The next connection that `server` accepts. */
export async function accept(server: Server): Promise<Socket> {
  const [socket]: unknown[] = await once(server, 'connection');
  if (!(socket instanceof net.Socket)) throw new Error('not a socket');
  socket.on('error', () => {});
  return socket;
}

/** A connection: `device` is the far end, `near` was connected and `accepted` comes from a server, as asked. */
export async function pair(nearIs: 'connected' | 'accepted'): Promise<{ near: Socket; device: Socket }> {
  const { server, port } = await listener();
  const connected = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  connected.on('error', () => {});
  connected.pause();
  const [accepted] = await Promise.all([accept(server), once(connected, 'connect')]);
  server.close();
  return nearIs === 'connected'
    ? { near: connected, device: accepted }
    : { near: accepted, device: connected };
}

/** Reads to the end. The text, and how it ended: 'fin' or the error's code, also where Node takes a RST for a FIN. */
export function readAll(socket: Socket): Promise<{ text: string; end: string }> {
  const native = requireAddon();
  let text = '';
  return new Promise(resolve => {
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
    });
    socket.on('end', () => resolve({ text, end: native.socketError(fdOf(socket) ?? -1) ?? 'fin' }));
    socket.on('error', error => resolve({ text, end: 'code' in error ? String(error.code) : error.message }));
    socket.resume();
  });
}

/** What this process's fds point at, for instance 'socket:[123]': one entry an fd. */
export function fdTargets(): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** The kernel's name of the socket behind `fd`: the same for every fd of it. */
export function socketOf(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}

/** Resolves when Node has closed `socket`, whatever the reason. */
export function closeOf(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()));
}

/**
 * Runs `body` (with `native` and `net` in scope) in a worker until it posts, lets `end` end the worker, and waits
 * for that. What was posted, and the message of what was thrown.
 */
export async function inWorker(body: string, end: (worker: Worker) => unknown) {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const net = require('node:net');
    const { readlinkSync } = require('node:fs');
    const socketOf = fd => readlinkSync('/proc/self/fd/' + fd);
    import(workerData).then(async ({ requireAddon }) => {
      const native = requireAddon();
      ${body}
    });`;
  const addon = new URL('./addon.js', import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: addon });
  let thrown = '';
  worker.on('error', error => {
    thrown = error.message;
  });
  const exited = new Promise(resolve => worker.once('exit', resolve));
  const posted = new Promise<string[]>(resolve => worker.once('message', resolve));
  const sockets = await Promise.race([posted, exited.then((): string[] => [])]);
  await end(worker);
  await exited;
  return { sockets, thrown };
}
