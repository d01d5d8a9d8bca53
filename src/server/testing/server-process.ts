import process from 'node:process';
import { createInterface } from 'node:readline';
import { createLog } from '../../base/log.ts';
import { readServerConfig } from '../config.ts';
import { startServer } from '../server.ts';
import { LeapClock } from './leap-clock.ts';

/**
 * A real server as a process of its own, for tests that look at its memory and its time: `node server-process.js
 * <state>`. It logs to stderr; on stdout it says its port, and answers each line of stdin with what it uses. `leap <ms>`
 * sets its clock forward first, `collect` collects garbage first.
 */

const [stateDir = ''] = process.argv.slice(2);
const clock = new LeapClock();
const config = readServerConfig(stateDir);
const listen = { ...config.listen, number: 0 };
const server = await startServer({ config: { ...config, listen }, clock, log: createLog('info') });
const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

function look(): unknown {
  const { heapUsed, rss, external, arrayBuffers } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const status = server.switch.status();
  return { heapUsed, rss, external, arrayBuffers, cpuMs: (user + system) / 1000, ...status };
}

createInterface({ input: process.stdin }).on('line', line => {
  const [word, value] = line.split(' ');
  if (word === 'leap') clock.leap(Number(value));
  if (word === 'collect') globalThis.gc?.();
  say(look());
});
say({ port: server.number, pin: server.pin });
