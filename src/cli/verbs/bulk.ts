import process from 'node:process';
import { type Command, InvalidArgumentError } from 'commander';
import { EntremiseError } from '../../base/errors.ts';
import {
  type BulkResult,
  runBulk,
  selectMediators,
  type Terminal,
  TunnelError,
} from '../../terminal/index.ts';
import { type BulkCommand, bulkCommandsHelp, parseBulkCommand } from '../bulk-commands.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { parseDuration } from '../duration.ts';
import { StatusBoard } from '../status-board.ts';
import { withTerminal } from '../with-terminal.ts';

const examples = `
Examples:
  entremise bulk --label voip --online --dry-run connect 192.168.1.1:80
  entremise bulk --label voip --online connect 192.168.1.1:80
  entremise bulk --label voip open 5060/udp --json > results.jsonl`;

interface BulkFlags {
  readonly label: readonly string[];
  readonly mediator: readonly string[];
  readonly service?: string;
  readonly online?: boolean;
  readonly dryRun?: boolean;
  readonly concurrency: number;
  readonly attempts: number;
  readonly timeout: string;
  readonly purpose: 'assistance' | 'service';
}

function countOf(most: number): (text: string) => number {
  return text => {
    const count = Number(text);
    if (Number.isInteger(count) && count >= 1 && count <= most) return count;
    throw new InvalidArgumentError(`Between 1 and ${most}.`);
  };
}

function purposeOf(text: string): 'assistance' | 'service' {
  if (text === 'assistance' || text === 'service') return text;
  throw new InvalidArgumentError('assistance or service.');
}

/** Adds `entremise bulk`. */
export function addBulkVerb(program: Command): void {
  program
    .command('bulk')
    .description('one command at many mediators: a result for each, those that fail tried again')
    .option('--label <label>', 'those with this label; may be repeated: with all of them', collect, [])
    .option('--mediator <name>', 'those of this name; may be repeated', collect, [])
    .option('--service <name>', 'those that want this service')
    .option('--online', 'only those that are online now')
    .option('--dry-run', 'say which ones, and do nothing')
    .option('--concurrency <count>', 'so many at once', countOf(500), 20)
    .option('--attempts <count>', 'so often at most', countOf(20), 2)
    .option('--timeout <duration>', 'for one try', '30s')
    .option('--purpose <purpose>', 'assistance or service', purposeOf, 'assistance')
    .argument('<command...>')
    .addHelpText('after', `${bulkCommandsHelp}\n${examples}`)
    .action((words: string[], flags: BulkFlags, command: Command) =>
      bulk(contextOf(command), parseBulkCommand(words), flags),
    );
}

function selected(terminal: Terminal, flags: BulkFlags): string[] {
  const { label: labels, mediator, service, online } = flags;
  const names = mediator.length === 0 ? undefined : mediator;
  const found = selectMediators(terminal.mediators(), { labels, names, service, online });
  return found.flatMap(({ name }) => name ?? []);
}

type Done = BulkResult<Awaited<ReturnType<BulkCommand['run']>>>;

/** A line above the bar where there is one on the same screen, else a result on stdout. */
function tellResult({ output }: Context, result: Done, board: StatusBoard | undefined): void {
  const { mediator, attempts } = result;
  const tell = (fields: object, text: string) => {
    if (board !== undefined && process.stdout.isTTY) board.say(`${mediator}: ${text}`);
    else output.result({ mediator, ok: result.ok, attempts, ...fields }, [`${mediator}: ${text}`]);
  };
  if (result.ok) return tell(result.value.fields, result.value.sentence);
  const { error } = result;
  const code = error instanceof TunnelError ? error.reason : 'aborted';
  tell({ error: { code, message: error.message } }, `failed: ${error.message} [${code}]`);
}

function bulk(context: Context, command: BulkCommand, flags: BulkFlags): Promise<void> {
  const timeoutMs = parseDuration(flags.timeout);
  return withTerminal(context, async (terminal, signal) => {
    const mediators = selected(terminal, flags);
    if (flags.dryRun === true) {
      context.output.result({ command: command.text, mediators }, [
        `${command.text}: ${mediators.length} mediators`,
        ...mediators.map(name => `  ${name}`),
      ]);
      return;
    }
    const { concurrency, attempts, purpose } = flags;
    const board = progressBoard(context);
    const done = { count: 0, failed: 0 };
    const onResult = (result: Done) => {
      done.count++;
      if (!result.ok) done.failed++;
      tellResult(context, result, board);
      board?.set(0, progressText(done, mediators.length));
    };
    const work = command.run;
    await runBulk(terminal, { mediators, work, concurrency, attempts, timeoutMs, purpose, onResult, signal });
    summary(context, mediators.length, done);
  });
}

/** A bar where a person watches. */
function progressBoard({ output }: Context): StatusBoard | undefined {
  if (output.json || !process.stderr.isTTY) return undefined;
  return new StatusBoard(1, { columns: process.stderr.columns, write: text => process.stderr.write(text) });
}

const barWidth = 30;

function progressText({ count, failed }: { count: number; failed: number }, total: number): string {
  const full = Math.round((barWidth * count) / Math.max(1, total));
  return `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}] ${count}/${total}, ${failed} failed`;
}

/** @throws EntremiseError `unreachable` when some have failed, for the exit code */
function summary(
  { output }: Context,
  total: number,
  { count, failed }: { count: number; failed: number },
): void {
  const left = total - count;
  const text = `${count - failed} of ${total} done, ${failed} failed${left > 0 ? `, ${left} not tried` : ''}`;
  output.status(text, { done: count - failed, failed, left });
  if (failed > 0)
    throw new EntremiseError('unreachable', { message: `At ${failed} of ${total} mediators it failed.` });
}
