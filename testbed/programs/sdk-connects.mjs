// Terminals that connect all at once. Arguments: directory of the terminal, mediator, how many.
// Says for each how long it took until it knew that the mediator is online; ends when all have.
import process from 'node:process';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', count = '1'] = process.argv.slice(2);

async function one() {
  const startedAt = performance.now();
  const terminal = await connectTerminal({ directory });
  await terminal.waitOnline(mediator, { signal: AbortSignal.timeout(120_000) });
  console.log(JSON.stringify({ connectedMs: Math.round(performance.now() - startedAt) }));
  return terminal;
}

const terminals = await Promise.all(Array.from({ length: Number(count) }, one));
await Promise.all(terminals.map(terminal => terminal.close()));
