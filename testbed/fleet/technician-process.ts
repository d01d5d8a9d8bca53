import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { connectTerminal, type MediatorAttachment } from '../../src/terminal/index.ts';

/**
 * `node technician-process.js <directory> <which> <of>`: a terminal that does one thing to all mediators that it sees, or to
 * each second or third one. Takes words on stdin and answers each with a line of JSON: `attach` attaches to all, `command` sends OPEN to all at once and then
 * waits for the last result. `ping <ms>` asks one after the other what it may, a command every 10 ms, and
 * tells the round trip that 99 of 100 do not exceed. `ms` is how long it took, `failures` what became of those that failed.
 */

const [directory = '', which = '0', of = '1'] = process.argv.slice(2);
const terminal = await connectTerminal({ directory });
let attachments: MediatorAttachment[] = [];

/** What a server lets one link have under way. */
const attachingAtOnce = 16;

async function attachAll(): Promise<PromiseSettledResult<unknown>[]> {
  await terminal.ready();
  const online = terminal
    .mediators()
    .flatMap(each => (each.online && each.name !== undefined ? [each.name] : []));
  const waiting = online.filter((_name, index) => index % Number(of) === Number(which));
  const outcomes: PromiseSettledResult<MediatorAttachment>[] = [];
  const worker = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop())
      outcomes.push(...(await Promise.allSettled([terminal.attach(name)])));
  };
  await Promise.all(Array.from({ length: attachingAtOnce }, worker));
  attachments = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  return outcomes;
}

const commandAll = () =>
  Promise.allSettled(attachments.map(attachment => attachment.open({ protocol: 'tcp' })));

const pingEveryMs = 10;
let roundTripsMs: number[] = [];

/** Begins one every 10 ms, whether or not those before have been answered: else who waits would measure less. */
async function pingFor(durationMs: number): Promise<PromiseSettledResult<unknown>[]> {
  roundTripsMs = [];
  const asked: Promise<unknown>[] = [];
  const beganMs = performance.now();
  for (let index = 0; performance.now() - beganMs < durationMs; index++) {
    const attachment = attachments[index % attachments.length];
    const sentMs = performance.now();
    const answered = attachment?.limits().then(() => roundTripsMs.push(performance.now() - sentMs));
    asked.push(answered ?? Promise.reject(new Error('nothing is attached')));
    await delay(pingEveryMs);
  }
  return Promise.allSettled(asked);
}

function p99(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)];
}

function act(word: string, value: string | undefined): Promise<PromiseSettledResult<unknown>[]> {
  if (word === 'attach') return attachAll();
  return word === 'ping' ? pingFor(Number(value)) : commandAll();
}

createInterface({ input: process.stdin }).on('line', async line => {
  const beganMs = performance.now();
  const [word = '', value] = line.split(' ');
  const outcomes = await act(word, value);
  const failures: Record<string, number> = {};
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    const reason = String(outcome.reason);
    failures[reason] = (failures[reason] ?? 0) + 1;
  }
  const ms = performance.now() - beganMs;
  const p99Ms = word === 'ping' ? p99(roundTripsMs) : undefined;
  process.stdout.write(`${JSON.stringify({ count: outcomes.length, ms, p99Ms, failures })}\n`);
});
process.stdout.write('ready\n');
