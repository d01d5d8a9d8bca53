// The most that a mediator has promised of each of its limits: asked ten times a second. Arguments: directory of the
// terminal, mediator. `totals NUMBER` on stdin gives them so far.
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = ''] = process.argv.slice(2);
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
const most = {};
const say = what => console.log(JSON.stringify(what));
createInterface({ input: process.stdin }).on('line', line =>
  say({ number: Number(line.split(' ')[1]), most }),
);

async function ask() {
  for (const { name, used } of await attachment.limits()) most[name] = Math.max(most[name] ?? 0, used);
}

await ask();
say({ attached: true });
for (;;) {
  await ask();
  await pause(100);
}
