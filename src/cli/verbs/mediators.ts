import { join } from 'node:path';
import type { Command } from 'commander';
import { errorCodeOf } from '../../base/errors.ts';
import { readStateFileIfPresent, writePrivateFile } from '../../base/state-file.ts';
import type { Mediator, Report, Terminal } from '../../terminal/index.ts';
import { namesFile } from '../completion/shell-words.ts';
import { type Context, contextOf } from '../context.ts';
import { formatDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { table } from '../output.ts';
import { waitForMediator, withTerminal } from '../with-terminal.ts';

/** Adds `entremise mediators`. */
export function addMediatorsVerb(program: Command): void {
  program
    .command('mediators')
    .description(
      'the mediators that your grants name: name, labels, online or offline since, addresses, round trip',
    )
    .option('--wait <name>', 'wait until this one is online')
    .option('--watch', 'go on, and print each change')
    .addHelpText('after', examples('mediators', 'mediators --wait home-4711', 'mediators --watch --json'))
    .action((options: { wait?: string; watch?: boolean }, command) => run(contextOf(command), options));
}

function run(context: Context, options: { wait?: string; watch?: boolean }): Promise<void> {
  return withTerminal(context, async (terminal, signal) => {
    if (options.wait !== undefined) await waitForMediator(context, terminal, options.wait, signal);
    const list = terminal.mediators();
    keepNames(context, list);
    context.output.result(
      list.map(described),
      list.length === 0 ? ['none: no grant of yours names one'] : table(rowsOf(list)),
    );
    if (options.watch === true) await watch(context, terminal, signal);
  });
}

/** For completion (`entremise completion`); a disk that is full keeps nobody from their list. */
function keepNames({ profile, log }: Context, list: readonly Mediator[]): void {
  const path = join(profile.path, namesFile);
  const text = list
    .flatMap(({ name }) => (name === undefined ? [] : [`${name}\n`]))
    .sort()
    .join('');
  try {
    if (readStateFileIfPresent(path)?.toString('utf8') !== text) writePrivateFile(path, text);
  } catch (thrown) {
    log.debug({ err: thrown }, 'names of mediators could not be kept for completion');
  }
}

function watch(context: Context, terminal: Terminal, signal: AbortSignal): Promise<void> {
  terminal.on('mediator', ({ kind, mediator }) => {
    const human = `${new Date().toISOString()} ${mediator.name ?? mediator.key} ${kind}`;
    context.output.result({ change: kind, mediator: described(mediator) }, [human]);
  });
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** What of an interface is worth a line: its addresses without the link-local ones. */
function addressesOf(mediator: Mediator): string[] {
  const all = mediator.report?.interfaces ?? [];
  return all.flatMap(({ name, addresses }) =>
    addresses
      .filter(({ address }) => !address.startsWith('fe80:') && address !== '127.0.0.1' && address !== '::1')
      .map(({ address, prefixLength }) => `${name} ${address}/${prefixLength}`),
  );
}

/** Why the mediator's last link was lost, and when. */
function lastLossOf({ report }: Mediator, nowMs: number): string {
  const { lostReason, lostAtMs } = report?.path ?? {};
  if (lostReason === undefined || lostAtMs === undefined) return '-';
  return `${errorCodeOf(lostReason) ?? lostReason} ${formatDuration(Math.max(0, nowMs - lostAtMs))} ago`;
}

/** A report as --json gives it: what is bytes or a number of the catalogue, as text. */
function shownReport({ bootId, path, ...rest }: Report): Record<string, unknown> {
  const lostReason = path?.lostReason;
  const reason = lostReason === undefined ? {} : { lostReason: errorCodeOf(lostReason) ?? lostReason };
  return { ...rest, bootId: Buffer.from(bootId).toString('hex'), path: path && { ...path, ...reason } };
}

function rowsOf(list: readonly Mediator[]): string[][] {
  const now = Date.now();
  const rows = list.map(mediator => [
    mediator.name ?? `${mediator.key.slice(0, 12)}... (unverified: ${mediator.problem ?? ''})`,
    mediator.labels.join(',') || '-',
    `${mediator.online ? 'online' : 'offline'} ${formatDuration(now - mediator.since.getTime())}`,
    mediator.observed ?? '-',
    mediator.roundTripMs === undefined ? '-' : `${mediator.roundTripMs} ms`,
    lastLossOf(mediator, now),
    mediator.report?.software ?? '-',
    addressesOf(mediator).join(', ') || '-',
  ]);
  return [['NAME', 'LABELS', 'STATE', 'FROM', 'RTT', 'LINK LOST', 'VERSION', 'ADDRESSES'], ...rows];
}

/** A mediator as --json gives it. */
function described(mediator: Mediator): Record<string, unknown> {
  const { key, name, labels, verified, problem, online, since, observed, roundTripMs, report } = mediator;
  return {
    key,
    name,
    labels,
    verified,
    problem,
    online,
    since: since.toISOString(),
    observed,
    roundTripMs,
    report: report && shownReport(report),
  };
}
