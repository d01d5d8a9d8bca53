import type { Command } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { byFile } from '../../server/declared/declarations.ts';
import {
  type Publication,
  type PublicationText,
  publicationText,
  readPublication,
} from '../../server/declared/publication.ts';
import type { DeclaredState } from '../../server/features/feature-attachments.ts';
import { asUsage } from '../as-usage.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { byCli, statusNow, untilTold, withDeclarations } from '../declarations.ts';
import { defaultServerState } from '../delivery.ts';
import { parseDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { badUsage, table } from '../output.ts';

interface StateOption {
  readonly state: string;
}

interface AddOptions extends StateOption {
  readonly on: string;
  readonly from: string[];
  readonly for?: string;
  readonly peers?: string;
  readonly newPeersPerSecond?: string;
  readonly idle?: string;
}

/** Adds `entremise publish add|list|remove`; what stands behind `publish` is added where it is none of these. */
export function addPublishVerb(program: Command): void {
  const publish = program
    .command('publish')
    .description("ports of this server whose plain clients come out in a mediator's LAN");
  const state = (verb: Command) =>
    verb.option('--state <directory>', "the server's state", defaultServerState);
  addAdd(publish);
  state(publish.command('list'))
    .description('those there are, and how each stands')
    .addHelpText('after', examples('publish list', 'publish list --json'))
    .action((options: StateOption, command) => list(contextOf(command), options));
  state(publish.command('remove'))
    .description('end one: its clients are reset, its number is free')
    .argument('<id>', 'as "publish list" shows it')
    .addHelpText('after', examples('publish remove 3f9a01c2b7de'))
    .action((id: string, options: StateOption, command) => remove(contextOf(command), id, options));
}

function addAdd(publish: Command): void {
  publish
    .command('add', { isDefault: true })
    .description('publish one; a server that runs does so at once, without a restart')
    .argument('<mediator>', 'into whose LAN')
    .argument('<protocol>', 'tcp or udp')
    .argument('<host:port>', 'what clients reach there: an address, or for tcp a name, too')
    .requiredOption('--on <address:port>', 'of this server; 0.0.0.0 and [::] are all its addresses')
    .requiredOption('--from <networks>', 'who may be a client, like 198.51.100.0/24,2001:db8::/32', collect)
    .option('--for <duration>', 'until when it is published, like 8h; for good by default')
    .option('--peers <number>', 'clients at once; 256 by default')
    .option('--new-peers-per-second <number>', 'new clients a second; 32 by default')
    .option('--idle <duration>', 'udp: who is silent for so long is forgotten; 120s by default')
    .option('--state <directory>', "the server's state", defaultServerState)
    .addHelpText(
      'after',
      examples(
        'publish home-4711 tcp 192.168.1.10:443 --on 203.0.113.5:8443 --from 198.51.100.0/24 --for 8h',
        'publish add home-4711 udp 192.168.1.10:53 --on 203.0.113.5:5353 --from 198.51.100.7,198.51.100.8',
      ),
    )
    .action((mediator: string, protocol: string, to: string, options: AddOptions, command) =>
      add(contextOf(command), { mediator, protocol, to }, options),
    );
}

function wholeNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw badUsage(`${option} wants a whole number, not ${JSON.stringify(text)}.`);
}

function publicationOf(
  words: { readonly mediator: string; readonly protocol: string; readonly to: string },
  options: AddOptions,
): Publication {
  const peers = wholeNumber(options.peers, '--peers');
  const newPeersPerSecond = wholeNumber(options.newPeersPerSecond, '--new-peers-per-second');
  const idleS = options.idle === undefined ? undefined : parseDuration(options.idle) / 1000;
  const from = options.from.flatMap(each => each.split(',')).map(each => each.trim());
  const wish = { ...words, on: options.on, from, peers, newPeersPerSecond, idleS };
  // An absent field is not the same as one without a value.
  return asUsage(() => readPublication(JSON.parse(JSON.stringify(wish))));
}

async function add(
  context: Context,
  words: { readonly mediator: string; readonly protocol: string; readonly to: string },
  options: AddOptions,
): Promise<void> {
  const publication = publicationOf(words, options);
  const lifeMs = options.for === undefined ? undefined : parseDuration(options.for);
  const expiresAtMs = lifeMs === undefined ? undefined : systemClock.wallTimeMs() + lifeMs;
  await withDeclarations(context, options.state, declarations =>
    declarations.publish(publication, byCli, expiresAtMs),
  );
  const { id } = publication;
  const told = await untilTold(options.state, ({ publications }) =>
    publications.find(each => each.id === id && !isBeginning(each)),
  );
  const shown = told ?? { id, ...publicationText(publication), declaredBy: byCli, state: 'pending' };
  context.output.result(shown, [
    `publication ${id}`,
    `  ${sentence(publicationText(publication))}`,
    `  ${stateText(told)}`,
  ]);
}

/** Of a state that lasts for a moment only. */
function isBeginning(status: DeclaredState): boolean {
  return status.state === 'pending' && status.code === 'server-unreachable';
}

function sentence({ protocol, on, mediator, to }: PublicationText): string {
  return `${protocol} ${on} leads to ${to} behind ${mediator}`;
}

function stateText(status: DeclaredState | undefined): string {
  if (status === undefined) return 'The server is not running; it is published when that starts.';
  return status.state === 'applied' ? 'applied' : `${status.state}: ${status.reason} [${status.code}]`;
}

async function list(context: Context, { state }: StateOption): Promise<void> {
  const declared = await withDeclarations(context, state, declarations => declarations.publications());
  const told = statusNow(state)?.publications ?? [];
  const all = declared.map(({ value, declaredBy, expiresAtMs }) => {
    const expires = expiresAtMs === undefined ? {} : { expires: new Date(expiresAtMs).toISOString() };
    const status = told.find(({ id }) => id === value.id);
    return (
      status ?? { id: value.id, ...publicationText(value), declaredBy, ...expires, state: 'not running' }
    );
  });
  const rows = all.map(each => [
    each.id,
    each.protocol,
    each.on,
    each.mediator,
    each.to,
    each.from.join(','),
    each.expires ?? (each.declaredBy === byFile ? 'by server.toml' : 'never'),
    'counts' in each ? String(each.counts?.clients ?? 0) : '-',
    'reason' in each ? `${each.state}: ${each.reason}` : each.state,
  ]);
  const head = ['ID', '', 'ON', 'MEDIATOR', 'TO', 'FROM', 'EXPIRES', 'CLIENTS', 'STATE'];
  context.output.result(all, rows.length === 0 ? ['nothing is published'] : table([head, ...rows]));
}

async function remove(context: Context, id: string, { state }: StateOption): Promise<void> {
  const removed = await withDeclarations(context, state, declarations =>
    declarations.remove('publication', id),
  );
  if (!removed)
    throw badUsage(`There is no publication ${JSON.stringify(id)}; "publish list" shows those there are.`);
  // So that what follows may have the number at once.
  const isRunning = statusNow(state) !== undefined;
  await untilTold(state, ({ publications }) => publications.every(each => each.id !== id) || undefined);
  context.output.result({ id, removed }, [
    isRunning ? `publication ${id} has ended` : `publication ${id} is removed; the server is not running`,
  ]);
}
