import type { Command } from 'commander';
import {
  addInviter,
  authorityFiles,
  type InviterChange,
  isInviterKnown,
  openAuthority,
  removeInviter,
  requireTrustStatement,
} from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import type { Inviter } from '../../policy/inviter.ts';
import { signed } from '../as-usage.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { deliver } from '../delivery.ts';
import { formatDuration, parseDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { knownMembers } from '../member-lookup.ts';
import { type MembersOption, membersHelp, membersOf } from '../members-option.ts';
import { table } from '../output.ts';

interface AddOptions extends MembersOption {
  readonly key: string;
  readonly names: string;
  readonly label?: string[];
  readonly life?: string;
  readonly for: string;
}

interface RemoveOptions extends MembersOption {
  readonly dropMembers?: boolean;
}

/** Adds `entremise authority inviter add|list|remove`. */
export function addInviterVerbs(authority: Command): void {
  const inviter = authority
    .command('inviter')
    .description('keys that may make enrolment codes for mediators, within bounds');
  addAdd(inviter);
  inviter
    .command('list')
    .description('the inviters of the trust statement, with --server-state also who came by them')
    .addHelpText('after', examples('authority inviter list --server-state /var/lib/entremise'))
    .action((_options, command) => list(contextOf(command)));
  inviter
    .command('remove')
    .argument('<name>')
    .description('take an inviter back: its codes end within 5 s; its members stay, by your own word')
    .option('--members <file>', membersHelp)
    .option('--drop-members', 'who came by it is no member any more: its key may be with a thief')
    .addHelpText(
      'after',
      examples(
        'authority inviter remove api --server-state /var/lib/entremise',
        'authority inviter remove api --drop-members',
      ),
    )
    .action((name: string, options: RemoveOptions, command) => remove(contextOf(command), name, options));
}

function addAdd(inviter: Command): void {
  inviter
    .command('add')
    .argument('<name>')
    .description('name an inviter, or bind one of that name otherwise')
    .requiredOption('--key <key>', 'as "server delegate-key" printed it')
    .requiredOption('--names <prefix>', 'how every name begins that it gives; best one that nobody has yet')
    .option('--label <label>', 'that it may give; may be repeated; none by default', collect)
    .option('--life <duration>', 'the longest life of one of its codes; 10m by default')
    .option('--for <duration>', 'no code of it is good for longer', '30d')
    .option('--members <file>', membersHelp)
    .addHelpText(
      'after',
      examples('authority inviter add api --key <key> --names new- --label voip --life 1h --for 90d'),
    )
    .action((name: string, options: AddOptions, command) => add(contextOf(command), name, options));
}

async function add(context: Context, name: string, options: AddOptions): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const wish = {
    name,
    key: options.key,
    names: options.names,
    labels: options.label ?? [],
    codeLifeMs: options.life === undefined ? undefined : parseDuration(options.life),
    lifeMs: parseDuration(options.for),
  };
  const members = isInviterKnown(authority, name) ? await membersOf(context, options) : [];
  const change = await signed(addInviter(authority, wish, members, systemClock.wallTimeMs()));
  await tell(context, change, `inviter ${name} is named`, await namesakes(context, options));
}

/** A beginning that nobody has is safer: a thief of the key could show terminals another of the same name. */
async function namesakes(context: Context, { key, names }: AddOptions): Promise<string[]> {
  const there = (await knownMembers(context))
    .filter(member => member.name.startsWith(names) && member.signer !== key)
    .map(({ name }) => name);
  if (there.length === 0) return [];
  const some = there.slice(0, 5).join(', ');
  return [
    `${there.length} members have such names without it (${some}): better another beginning, or "authority label" for each`,
  ];
}

async function remove(context: Context, name: string, options: RemoveOptions): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const members = options.dropMembers === true ? [] : await membersOf(context, options);
  const change = await removeInviter(authority, name, members, systemClock.wallTimeMs());
  await tell(context, change, `inviter ${name} is taken back`);
}

async function tell(
  context: Context,
  change: InviterChange,
  done: string,
  notes: readonly string[] = [],
): Promise<void> {
  const { trust, signedAnew, documents } = change;
  const delivered = await deliver(context, documents, authorityFiles.inviter(context.authorityPath));
  const fields = { seq: trust.seq, inviters: trust.inviters.map(describedInviter), signedAnew };
  const anew =
    signedAnew.length === 0
      ? []
      : [`by your own word from now on: ${signedAnew.join(', ')} (do you know them all?)`];
  context.output.result({ ...fields, delivered: delivered.how }, [
    `${done} (trust statement ${trust.seq})`,
    ...anew,
    ...notes,
    delivered.sentence,
  ]);
}

/** An inviter as --json gives it. */
export function describedInviter({ key, name, notAfterMs, names, labels, lifeMs }: Inviter) {
  return { name, key, names, labels, lifeS: lifeMs / 1000, until: new Date(notAfterMs).toISOString() };
}

/** Inviters for people. */
export function inviterTable(inviters: readonly Inviter[]): string[] {
  const rows = inviters.map(({ name, key, notAfterMs, names, labels, lifeMs }) => [
    name,
    `${names}...`,
    labels.join(',') || 'none',
    formatDuration(lifeMs),
    new Date(notAfterMs).toISOString(),
    key,
  ]);
  return table([['INVITER', 'NAMES', 'LABELS', 'CODES', 'UNTIL', 'KEY'], ...rows]);
}

/** With the server's state at hand also who came by them. */
async function list(context: Context): Promise<void> {
  const { authorityPath, serverState, output } = context;
  const { inviters } = await requireTrustStatement(openAuthority(authorityPath));
  const known = await knownMembers(context);
  const cameBy = ({ key }: Inviter) => known.filter(({ signer }) => signer === key).map(({ name }) => name);
  const members = inviters.flatMap(inviter => {
    const names = cameBy(inviter);
    return names.length === 0 ? [] : [`by the key of ${inviter.name}: ${names.join(', ')}`];
  });
  output.result(
    inviters.map(inviter => ({
      ...describedInviter(inviter),
      ...(serverState === undefined ? {} : { members: cameBy(inviter) }),
    })),
    inviters.length === 0 ? ['there are no inviters'] : [...inviterTable(inviters), ...members],
  );
}
