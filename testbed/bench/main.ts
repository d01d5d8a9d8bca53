import process from 'node:process';
import { asEntremiseError } from '../../src/base/errors.ts';
import { helpText, readArguments } from './arguments.ts';
import { benches } from './registry.ts';
import { runBench } from './run-bench.ts';

/** `npm run bench`: see helpText. The result goes to stdout, everything else to stderr. */
async function main(): Promise<number> {
  try {
    const request = readArguments(process.argv.slice(2), benches);
    if (request.is === 'help') process.stdout.write(`${helpText(benches)}\n`);
    else process.stdout.write(`${await runBench(request, line => process.stderr.write(`${line}\n`))}\n`);
    return 0;
  } catch (thrown) {
    const { code, message, cause } = asEntremiseError(thrown);
    process.stderr.write(`bench: ${message}\n`);
    if (code === 'bad-usage') return 2;
    if (code === 'environment-unfit') return 3;
    if (cause instanceof Error) process.stderr.write(`${cause.stack ?? ''}\n`);
    return 1;
  }
}

process.exitCode = await main();
