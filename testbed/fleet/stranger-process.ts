import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import process from 'node:process';

/**
 * `node stranger-process.js <host> <port> <junk|silent> <sources> <each second> <seconds>`: connections from so many
 * addresses that never become anybody; `junk` says what is no TLS. Prints in JSON how many were begun and how many the
 * server ended.
 */

const [host = '', port = '', manner = '', sources = '1', perSecond = '1', seconds = '1'] =
  process.argv.slice(2);

/** So many are begun together. */
const everyMs = 10;

const total = Number(perSecond) * Number(seconds);
const beganMs = performance.now();
let begun = 0;
let ended = 0;

function begin(): void {
  const source = begun++ % Number(sources);
  const localAddress = `10.78.${source >> 8}.${(source & 255) + 1}`;
  const socket = connect({ host, port: Number(port), localAddress });
  socket.on('error', () => {});
  socket.once('close', () => {
    ended++;
  });
  socket.resume();
  if (manner === 'junk') socket.write(randomBytes(300));
}

const timer = setInterval(() => {
  const due = Math.min(total, Math.floor(((performance.now() - beganMs) / 1000) * Number(perSecond)));
  while (begun < due) begin();
  if (begun < total) return;
  clearInterval(timer);
  process.stdout.write(`${JSON.stringify({ begun, ended })}\n`);
  process.exit();
}, everyMs);
