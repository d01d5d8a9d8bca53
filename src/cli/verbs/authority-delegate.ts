import type { Command } from 'commander';
import {
  addDelegate,
  authorityFiles,
  makeDesk,
  openAuthority,
  removeDelegate,
  requireTrustStatement,
} from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { isKeyText } from '../../base/keys.ts';
import type { Delegate, TrustStatement } from '../../policy/trust-statement.ts';
import { signed } from '../as-usage.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { deliver } from '../delivery.ts';
import { examples } from '../examples.ts';
import { addTermOptions, listed, purposeOf, type TermOptions, termsOf } from '../grant-terms.ts';
import { selectorText } from '../grant-text.ts';
import { memberKeyOf } from '../member-lookup.ts';
import { table } from '../output.ts';

interface AddOptions extends TermOptions {
  readonly key: string;
  readonly mediator?: string[];
  readonly label?: string[];
  readonly terminal?: string[];
}

/** Adds `entremise authority delegate key|add|list|remove`. */
export function addDelegateVerbs(authority: Command): void {
  const delegate = authority
    .command('delegate')
    .description('keys that may sign grants, and only grants, within bounds');
  delegate
    .command('key')
    .argument('<directory>')
    .description("make a delegate's key where it will be used, and print what the authority is to be told")
    .addHelpText('after', examples('authority delegate key ~/desk'))
    .action((directory: string, _options, command) => makeKey(contextOf(command), directory));
  addAdd(delegate);
  delegate
    .command('list')
    .description('the delegates of the trust statement')
    .addHelpText('after', examples('authority delegate list'))
    .action((_options, command) => list(contextOf(command)));
  delegate
    .command('remove')
    .argument('<name>')
    .description('take a delegate back: its grants end within 5 s')
    .addHelpText('after', examples('authority delegate remove desk'))
    .action((name: string, _options, command) => remove(contextOf(command), name));
}

function addAdd(delegate: Command): void {
  const add = delegate
    .command('add')
    .argument('<name>')
    .description('name a delegate, or give one of that name other bounds; what is not said is not bounded')
    .requiredOption('--key <key>', 'as "authority delegate key" or "server delegate-key" printed it')
    .option('--mediator <name>', 'its grants open this mediator; may be repeated; all by default', collect)
    .option('--label <label>', 'or all with this label (with several: with all of them)', collect)
    .option(
      '--terminal <name|key>',
      'its grants are for this terminal; may be repeated; any by default',
      collect,
    )
    .addHelpText(
      'after',
      examples(
        'authority delegate add desk --key <key> --purpose assistance,service --for 90d',
        'authority delegate add api --key <key> --purpose service --label voip --terminal <key> --udp 5060 --for 30d',
      ),
    )
    .action((name: string, options: AddOptions, command) => addOne(contextOf(command), name, options));
  const purpose = 'of its grants: assistance (the default), service, or both with a comma';
  addTermOptions(add, purpose, 'no grant of it is good for longer; 30d by default');
}

function makeKey({ output }: Context, directory: string): void {
  const { key } = makeDesk(directory);
  output.result({ key: key.text, directory }, [
    key.text,
    `Next, where the authority is: entremise authority delegate add <name> --key ${key.text} ...`,
  ]);
}

const defaultLifeMs = 30 * 24 * 3_600_000;

async function addOne(context: Context, name: string, options: AddOptions): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const { purpose = 'assistance', ...others } = options;
  const { commands, targets, ports, limits, lifeMs = defaultLifeMs } = termsOf(others);
  const mediators = [
    ...(options.mediator ?? []).map(text => (isKeyText(text) ? { key: text } : { name: text })),
    ...(options.label === undefined ? [] : [{ labels: options.label }]),
  ];
  const terminalKeys = await Promise.all((options.terminal ?? []).map(who => memberKeyOf(context, who)));
  const wish = {
    name,
    key: options.key,
    purposes: (listed(purpose) ?? []).map(purposeOf),
    lifeMs,
    ...{ commands, targets, ports, limits },
    ...(mediators.length === 0 ? {} : { mediators }),
    ...(terminalKeys.length === 0 ? {} : { terminalKeys }),
  };
  const trust = await signed(addDelegate(authority, wish, systemClock.wallTimeMs()));
  await tell(context, trust, [`delegate ${name} is named (trust statement ${trust.seq})`]);
}

async function remove(context: Context, name: string): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const trust = await removeDelegate(authority, name, systemClock.wallTimeMs());
  await tell(context, trust, [`delegate ${name} is taken back (trust statement ${trust.seq})`]);
}

async function tell(context: Context, trust: TrustStatement, lines: readonly string[]): Promise<void> {
  const file = authorityFiles.trust(context.authorityPath);
  const delivered = await deliver(context, [trust.text], file);
  const fields = {
    seq: trust.seq,
    delegates: trust.delegates.map(describedDelegate),
    delivered: delivered.how,
  };
  context.output.result({ ...fields, document: trust.text }, [...lines, delivered.sentence]);
}

/** A delegate as --json gives it. */
export function describedDelegate({ key, name, notAfterMs, purposes, mediators, terminals }: Delegate) {
  return { name, key, purposes, mediators, terminals, until: new Date(notAfterMs).toISOString() };
}

/** Delegates for people. */
export function delegateTable(delegates: readonly Delegate[]): string[] {
  const rows = delegates.map(({ name, key, notAfterMs, purposes, mediators }) => [
    name,
    purposes.join(','),
    mediators?.map(selectorText).join(',') ?? 'all',
    new Date(notAfterMs).toISOString(),
    key,
  ]);
  return table([['DELEGATE', 'PURPOSES', 'MEDIATORS', 'UNTIL', 'KEY'], ...rows]);
}

async function list({ authorityPath, output }: Context): Promise<void> {
  const { delegates } = await requireTrustStatement(openAuthority(authorityPath));
  output.result(
    delegates.map(describedDelegate),
    delegates.length === 0 ? ['there are no delegates'] : delegateTable(delegates),
  );
}
