import { parseArgs } from 'node:util';
import { EntremiseError } from '../../src/base/errors.ts';
import type { Bench } from './bench.ts';

/** What was asked for on the command line. */
export type Request =
  | { readonly is: 'help' }
  | { readonly is: 'run'; readonly bench: Bench; readonly quick: boolean; readonly json: boolean };

const options = {
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function badUsage(message: string, cause?: unknown): EntremiseError {
  return new EntremiseError('bad-usage', { message: `${message} See npm run bench -- --help.`, cause });
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (cause) {
    throw badUsage(`${cause instanceof Error ? cause.message : String(cause)}.`, cause);
  }
}

/**
 * Reads the words behind `npm run bench --`.
 * @throws EntremiseError `bad-usage`: unknown bench or option, no bench, more than one
 */
export function readArguments(argv: readonly string[], benches: readonly Bench[]): Request {
  const { values, positionals } = parsed(argv);
  if (values.help) return { is: 'help' };
  const names = benches.map(({ name }) => name).join(', ');
  const [name, ...more] = positionals;
  if (name === undefined) throw badUsage(`Which bench? There are: ${names}.`);
  if (more.length > 0) throw badUsage(`One bench at a time, not ${positionals.join(' and ')}.`);
  const bench = benches.find(candidate => candidate.name === name);
  if (bench === undefined) throw badUsage(`There is no bench "${name}". There are: ${names}.`);
  return { is: 'run', bench, quick: values.quick, json: values.json };
}

/** What `--help` shows. */
export function helpText(benches: readonly Bench[]): string {
  const widest = Math.max(...benches.map(({ name }) => name.length));
  return [
    'npm run bench -- <name> [--quick] [--json]',
    '',
    ...benches.map(({ name, summary }) => `  ${name.padEnd(widest)}  ${summary}`),
    '',
    '  --quick  a few seconds; shows that it works, its figures mean little',
    '  --json   {"name", "figures": [{"name", "value", "unit", "goal", "met"}], "machine", "runs"} on stdout',
    '',
    'Progress goes to stderr. Ends with 0 when everything was measured, whether or not the goals are met;',
    'with 2 for a wrong command line, 3 when this machine cannot run it, 1 when something failed.',
  ].join('\n');
}
