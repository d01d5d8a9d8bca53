import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import {
  authorityFiles,
  type GrantWish,
  issueGrant,
  listGrants,
  openAuthority,
  readGrant,
  revokeGrant,
} from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { EntremiseError } from '../../base/errors.ts';
import { isKeyText } from '../../base/keys.ts';
import { writePrivateFile } from '../../base/state-file.ts';
import { TrustKeeper } from '../../member/trust-keeper.ts';
import { addressEntryText } from '../../policy/address-entry.ts';
import type { Grant } from '../../policy/documents.ts';
import { quoted } from '../../policy/target.ts';
import { signed } from '../as-usage.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { deliver } from '../delivery.ts';
import { formatDuration, parseDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { parseLimits } from '../grant-limits.ts';
import { memberKeyOf } from '../member-lookup.ts';
import { badUsage, table } from '../output.ts';

interface CreateOptions {
  readonly terminal: string;
  readonly mediator?: string[];
  readonly label?: string[];
  readonly purpose: string;
  readonly allow?: string;
  readonly target?: string[];
  readonly tcp?: string;
  readonly udp?: string;
  readonly listenOn?: string[];
  readonly listenTcp?: string;
  readonly listenUdp?: string;
  readonly limit?: string[];
  readonly for?: string;
  readonly out?: string;
}

/** Adds `entremise grant create|list|show|revoke|add`. */
export function addGrantVerb(program: Command): void {
  const grant = program.command('grant').description('what a terminal may do on which mediators, until when');
  addCreate(grant);
  grant
    .command('list')
    .description('the grants that this authority has issued')
    .addHelpText('after', examples('grant list'))
    .action((_options, command) => list(contextOf(command)));
  grant
    .command('show')
    .argument('<id>')
    .description('one grant in full')
    .addHelpText('after', examples('grant show 3n7xk2p9'))
    .action((id: string, _options, command) => show(contextOf(command), id));
  grant
    .command('revoke')
    .argument('<id>')
    .description('take a grant back: what it allowed ends within 5 s')
    .addHelpText(
      'after',
      examples('grant revoke 3n7xk2p9', 'grant revoke 3n7xk2p9 --server-state /var/lib/entremise'),
    )
    .action((id: string, _options, command) => revoke(contextOf(command), id));
  grant
    .command('add')
    .argument('<file>')
    .description('keep a grant in this profile, for when the server does not hand it over')
    .addHelpText('after', examples('grant add grant.jwt'))
    .action((file: string, _options, command) => add(contextOf(command), file));
}

function addCreate(grant: Command): void {
  grant
    .command('create')
    .description('sign a grant for one terminal and tell the server')
    .requiredOption(
      '--terminal <name|key>',
      'the terminal it is for; a name is looked up with --server-state',
    )
    .option('--mediator <name>', 'a mediator it opens; may be repeated', collect)
    .option('--label <label>', 'or all mediators with this label (with several: with all of them)', collect)
    .option(
      '--purpose <purpose>',
      'assistance (a person helps, up to 24 h) or service (up to 30 d)',
      'assistance',
    )
    .option(
      '--allow <commands>',
      'of open,connect,listen,close,query,resolve,datagram,redirect; all by default',
    )
    .option(
      '--target <network>',
      'reachable: a network, an address, "lan" or a class; "lan" by default',
      collect,
    )
    .option('--tcp <ranges>', 'reachable TCP numbers, like 80,443,8000-8999; all by default')
    .option('--udp <ranges>', 'reachable UDP numbers; all by default')
    .option('--listen-on <address>', 'gateway addresses that may be bound; "lan" by default', collect)
    .option('--listen-tcp <ranges>', 'TCP numbers that may be bound; 1024-65535 by default')
    .option('--listen-udp <ranges>', 'UDP numbers that may be bound; 1024-65535 by default')
    .option(
      '--limit <name=number>',
      'ports=64, streams=1024 at once, newStreamsPerSecond=100, bytesPerSecond; may be repeated',
      collect,
    )
    .option('--for <duration>', 'how long it lives; 12h by default')
    .option('--out <file>', 'also write the grant here')
    .addHelpText('after', createExamples)
    .action((options: CreateOptions, command) => create(contextOf(command), options));
}

const createExamples = `
Examples:
  entremise grant create --terminal anna --mediator home-4711 --server-state /var/lib/entremise
  entremise grant create --terminal FRncYS9hCzj4XShTvU_koXfStrB1QqxgbBNjVZI8dT0 --mediator home-4711 --tcp 80,443
  entremise grant create --terminal sip-1 --label voip --purpose service --for 30d --target lan --udp 5060,10000-20000`;

function ranges(text: string | undefined): string[] | undefined {
  return text
    ?.split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
}

function selectorsOf(options: CreateOptions): GrantWish['mediators'] {
  const byName = (options.mediator ?? []).map(name => (isKeyText(name) ? { key: name } : { name }));
  const byLabels = options.label === undefined ? [] : [{ labels: options.label }];
  if (byName.length + byLabels.length > 0) return [...byName, ...byLabels];
  throw badUsage('Say which mediators the grant opens: --mediator <name> or --label <label>.');
}

function purposeOf(text: string): GrantWish['purpose'] {
  if (text === 'assistance' || text === 'service') return text;
  throw badUsage(`--purpose is assistance or service, not ${quoted(text)}.`);
}

async function create(context: Context, options: CreateOptions): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const everyNumber = ['1-65535'];
  const ordinary = ['1024-65535'];
  const limits = parseLimits(options.limit);
  const wish: GrantWish = {
    terminalKey: await memberKeyOf(context, options.terminal),
    mediators: selectorsOf(options),
    purpose: purposeOf(options.purpose),
    targets: {
      networks: options.target ?? ['lan'],
      tcp: ranges(options.tcp) ?? everyNumber,
      udp: ranges(options.udp) ?? everyNumber,
    },
    ports: {
      addresses: options.listenOn ?? ['lan'],
      tcp: ranges(options.listenTcp) ?? ordinary,
      udp: ranges(options.listenUdp) ?? ordinary,
    },
    ...(options.allow === undefined
      ? {}
      : { commands: (ranges(options.allow) ?? []) as NonNullable<GrantWish['commands']> }),
    ...(limits === undefined ? {} : { limits }),
    ...(options.for === undefined ? {} : { lifeMs: parseDuration(options.for) }),
  };
  const grant = await signed(issueGrant(authority, wish, systemClock.wallTimeMs()));
  if (options.out !== undefined) writePrivateFile(options.out, `${grant.text}\n`);
  const file = authorityFiles.grant(authority.directory, grant.id);
  const delivered = await deliver(context, [grant.text], file);
  context.output.result({ ...described(grant), delivered: delivered.how, document: grant.text }, [
    `grant ${grant.id}, for ${formatDuration(grant.expiresAtMs - grant.issuedAtMs)}`,
    ...sentences(grant),
    delivered.sentence,
  ]);
}

function described(grant: Grant): Record<string, unknown> {
  const { id, purpose, mediators, commands, limits, issuedAtMs, expiresAtMs } = grant;
  const where = (side: Grant['targets']) => ({
    addresses: ('networks' in side ? side.networks : []).map(addressEntryText),
    tcp: side.tcp.map(rangeText),
    udp: side.udp.map(rangeText),
  });
  const targets = where(grant.targets);
  const ports = { ...where({ ...grant.ports, networks: grant.ports.addresses }) };
  const times = {
    issuedAt: new Date(issuedAtMs).toISOString(),
    expiresAt: new Date(expiresAtMs).toISOString(),
  };
  return {
    id,
    purpose,
    terminal: grant.terminalThumbprint,
    mediators,
    commands,
    targets,
    ports,
    limits,
    ...times,
  };
}

function rangeText({ first, last }: { first: number; last: number }): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

function sentences(grant: Grant): string[] {
  const mediators = grant.mediators.map(
    ({ name, key, labels }) => name ?? key ?? `label ${labels?.join('+')}`,
  );
  const numbers = (side: Grant['targets'] | Grant['ports']) =>
    `tcp ${side.tcp.map(rangeText).join(',') || 'none'}, udp ${side.udp.map(rangeText).join(',') || 'none'}`;
  return [
    `  opens     ${mediators.join(', ')}`,
    `  purpose   ${grant.purpose}`,
    `  commands  ${grant.commands.join(', ')}`,
    `  reaches   ${grant.targets.networks.map(addressEntryText).join(', ') || 'nothing'} (${numbers(grant.targets)})`,
    `  binds     ${grant.ports.addresses.map(addressEntryText).join(', ') || 'nothing'} (${numbers(grant.ports)})`,
    `  until     ${new Date(grant.expiresAtMs).toISOString()}`,
  ];
}

function list(context: Context): void {
  const nowMs = systemClock.wallTimeMs();
  const issued = listGrants(openAuthority(context.authorityPath), nowMs);
  const rows = issued.map(({ grant, status }) => [
    grant.id,
    status,
    grant.purpose,
    grant.mediators.map(({ name, key, labels }) => name ?? key ?? `label ${labels?.join('+')}`).join(','),
    status === 'valid' ? `${formatDuration(grant.expiresAtMs - nowMs)} left` : '',
  ]);
  context.output.result(
    issued.map(({ grant, status }) => ({ ...described(grant), status })),
    rows.length === 0
      ? ['no grant issued yet']
      : table([['GRANT', 'STATUS', 'PURPOSE', 'MEDIATORS', ''], ...rows]),
  );
}

function show(context: Context, id: string): void {
  const grant = readGrant(openAuthority(context.authorityPath), id);
  context.output.result({ ...described(grant), document: grant.text }, [
    `grant ${grant.id}`,
    ...sentences(grant),
    grant.text,
  ]);
}

async function revoke(context: Context, id: string): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const trust = await revokeGrant(authority, id, systemClock.wallTimeMs());
  const delivered = await deliver(context, [trust.text], authorityFiles.trust(authority.directory));
  context.output.result({ revoked: id, trustSeq: trust.seq, delivered: delivered.how }, [
    `grant ${id} is revoked (trust statement ${trust.seq})`,
    delivered.sentence,
  ]);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new EntremiseError('bad-usage', { message: `Cannot read ${file}.`, cause });
  }
}

async function add(context: Context, file: string): Promise<void> {
  const keeper = await TrustKeeper.load({ directory: context.profile, clock: systemClock, log: context.log });
  const grant = await keeper.verifyGrant(readText(file));
  keeper.refuseForeign(grant);
  context.profile.saveGrant(grant.id, grant.text);
  context.output.result(described(grant), [`grant ${grant.id} kept`, ...sentences(grant)]);
}
