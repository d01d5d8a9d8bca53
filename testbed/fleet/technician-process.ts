import process from 'node:process';
import { createInterface } from 'node:readline';
import { connectTerminal, type MediatorAttachment } from '../../src/terminal/index.ts';

/**
 * `node technician-process.js <directory> <which> <of>`: a terminal that does one thing to all mediators that it sees, or to
 * each second or third one. Takes words on stdin and answers each with a line of JSON: `attach` attaches to all, `command` sends OPEN to all at once and then
 * waits for the last result. `ms` is how long it took, `failures` what became of those that failed.
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

const words: Readonly<Record<string, () => Promise<PromiseSettledResult<unknown>[]>>> = {
  attach: attachAll,
  command: () => Promise.allSettled(attachments.map(attachment => attachment.open({ protocol: 'tcp' }))),
};

createInterface({ input: process.stdin }).on('line', async line => {
  const beganMs = performance.now();
  const outcomes = (await words[line]?.()) ?? [];
  const failures: Record<string, number> = {};
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    const reason = String(outcome.reason);
    failures[reason] = (failures[reason] ?? 0) + 1;
  }
  const ms = performance.now() - beganMs;
  process.stdout.write(`${JSON.stringify({ count: outcomes.length, ms, failures })}\n`);
});
process.stdout.write('ready\n');
