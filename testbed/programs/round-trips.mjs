// Round trips of small messages over one connection, or over new connections. Arguments:
//   ping    address number bytes everyMs warmUpMs durationMs   one connection; a message each everyMs, or when the last is back
//   stream  address number bytes atOnce warmUpMs durationMs    a new connection for each message, atOnce at a time
// The service must echo. Writes one JSON line: how many counted, per second, p50, p99 and highest in milliseconds. Ends with
// 1 when a connection fails.
import { once } from 'node:events';
import { connect } from 'node:net';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

const [manner = 'ping', address = '127.0.0.1', number = '7', ...numbers] = process.argv.slice(2);
const [bytes = 64, third = 1, warmUpMs = 0, durationMs = 1000] = numbers.map(Number);
const message = Buffer.alloc(bytes, 'm');
const countsFrom = performance.now() + warmUpMs;
const countsUntil = countsFrom + durationMs;
const samples = [];

function note(startedAt) {
  const now = performance.now();
  if (startedAt >= countsFrom && now <= countsUntil) samples.push(now - startedAt);
}

async function open() {
  const socket = connect({ host: address, port: Number(number), noDelay: true });
  await once(socket, 'connect');
  return socket;
}

async function echoed(socket) {
  socket.write(message);
  let left = bytes;
  while (left > 0) {
    const piece = socket.read();
    if (piece !== null) left -= piece.length;
    else if (socket.readableEnded || socket.destroyed) throw new Error('the connection ended');
    else await once(socket, 'readable');
  }
}

async function ping() {
  const socket = await open();
  while (performance.now() < countsUntil) {
    const startedAt = performance.now();
    await echoed(socket);
    note(startedAt);
    await pause(Math.max(0, third - (performance.now() - startedAt)));
  }
  socket.destroy();
}

async function oneAfterAnother() {
  while (performance.now() < countsUntil) {
    const startedAt = performance.now();
    const socket = await open();
    await echoed(socket);
    note(startedAt);
    socket.destroy();
  }
}

const manners = { ping, stream: () => Promise.all(Array.from({ length: third }, oneAfterAnother)) };
await manners[manner]();
const sorted = samples.sort((a, b) => a - b);
const at = share => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
const perSecond = (sorted.length * 1000) / durationMs;
console.log(
  JSON.stringify({ count: sorted.length, perSecond, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted.at(-1) }),
);
