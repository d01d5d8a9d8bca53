import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import {
  authorityFiles,
  issueGrantAs,
  listGrants,
  openAuthority,
  openDesk,
  readGrant,
  readRole,
  requireTrustStatement,
  revokeGrant,
} from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { EntremiseError } from '../../base/errors.ts';
import { isKeyText } from '../../base/keys.ts';
import { writePrivateFile } from '../../base/state-file.ts';
import { TrustKeeper } from '../../member/trust-keeper.ts';
import { defaultGrantClaims, type GrantWish, overlaidTerms } from '../../policy/grant-wish.ts';
import { signed } from '../as-usage.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { deliver } from '../delivery.ts';
import { formatDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { addTermOptions, type TermOptions, termsOf } from '../grant-terms.ts';
import { describedGrant, grantSentences, selectorText } from '../grant-text.ts';
import { memberKeyOf, trustKnownHere } from '../member-lookup.ts';
import { badUsage, table } from '../output.ts';
import { addRoleVerbs } from './grant-role.ts';
import { listServerHeld } from './server-held.ts';

interface CreateOptions extends TermOptions {
  readonly terminal: string;
  readonly mediator?: string[];
  readonly label?: string[];
  readonly role?: string;
  readonly delegate?: string;
  readonly out?: string;
}

/** Adds `entremise grant create|list|show|revoke|add|role`. */
export function addGrantVerb(program: Command): void {
  const grant = program.command('grant').description('what a terminal may do on which mediators, until when');
  addCreate(grant);
  grant
    .command('list')
    .description('the grants that this authority has issued')
    .option(
      '--server-held',
      'what a stolen server could do: grants and delegates whose keys --server-state has',
    )
    .addHelpText(
      'after',
      examples('grant list', 'grant list --server-held --server-state /var/lib/entremise'),
    )
    .action((options: { serverHeld?: boolean }, command) =>
      options.serverHeld === true ? listServerHeld(contextOf(command)) : list(contextOf(command)),
    );
  addRoleVerbs(grant);
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
  const create = grant
    .command('create')
    .description('sign a grant for one terminal and tell the server')
    .requiredOption(
      '--terminal <name|key>',
      'the terminal it is for; a name is looked up with --server-state',
    )
    .option('--mediator <name>', 'a mediator it opens; may be repeated', collect)
    .option('--label <label>', 'or all mediators with this label (with several: with all of them)', collect)
    .option('--role <name>', 'as this role says, where nothing else is said here')
    .option('--delegate <directory>', 'sign with the delegate key there, not as the authority')
    .option('--out <file>', 'also write the grant here')
    .addHelpText('after', createExamples)
    .action((options: CreateOptions, command) => createGrant(contextOf(command), options));
  const purpose = 'assistance (a person helps, up to 24 h; the default) or service (up to 30 d)';
  addTermOptions(create, purpose, 'how long it lives; 12h by default');
}

const createExamples = `
Examples:
  entremise grant create --terminal anna --mediator home-4711 --server-state /var/lib/entremise
  entremise grant create --terminal FRncYS9hCzj4XShTvU_koXfStrB1QqxgbBNjVZI8dT0 --mediator home-4711 --tcp 80,443
  entremise grant create --terminal anna --mediator home-4711 --role technician
  entremise grant create --terminal sip-1 --label voip --purpose service --for 30d --target lan --udp 5060,10000-20000`;

function selectorsOf(options: CreateOptions): GrantWish['mediators'] {
  const byName = (options.mediator ?? []).map(name => (isKeyText(name) ? { key: name } : { name }));
  const byLabels = options.label === undefined ? [] : [{ labels: options.label }];
  if (byName.length + byLabels.length > 0) return [...byName, ...byLabels];
  throw badUsage('Say which mediators the grant opens: --mediator <name> or --label <label>.');
}

/** The authority, or the desk of a delegate. */
async function signerOf(context: Context, delegate: string | undefined) {
  if (delegate !== undefined)
    return { signer: openDesk(delegate), trust: await trustKnownHere(context), terms: () => ({}) };
  const authority = openAuthority(context.authorityPath);
  const trust = await requireTrustStatement(authority);
  return { signer: authority, trust, terms: (role: string) => readRole(authority, role).terms };
}

async function createGrant(context: Context, options: CreateOptions): Promise<void> {
  const { role, delegate } = options;
  if (role !== undefined && delegate !== undefined)
    throw badUsage("Roles are the authority's: say --role or --delegate, not both.");
  const mediators = selectorsOf(options);
  const own = termsOf(options);
  const { signer, trust, terms } = await signerOf(context, delegate);
  const wish: GrantWish = {
    ...overlaidTerms(defaultGrantClaims, role === undefined ? own : overlaidTerms(terms(role), own)),
    terminalKey: await memberKeyOf(context, options.terminal),
    mediators,
  };
  const grant = await signed(issueGrantAs(signer, trust, wish, systemClock.wallTimeMs()));
  if (options.out !== undefined) writePrivateFile(options.out, `${grant.text}\n`);
  const file = authorityFiles.grant(signer.directory, grant.id);
  const delivered = await deliver(context, [grant.text], file);
  context.output.result({ ...describedGrant(grant), delivered: delivered.how, document: grant.text }, [
    `grant ${grant.id}, for ${formatDuration(grant.expiresAtMs - grant.issuedAtMs)}`,
    ...grantSentences(grant),
    delivered.sentence,
  ]);
}

function list(context: Context): void {
  const nowMs = systemClock.wallTimeMs();
  const issued = listGrants(openAuthority(context.authorityPath), nowMs);
  const rows = issued.map(({ grant, status }) => [
    grant.id,
    status,
    grant.purpose,
    grant.mediators.map(selectorText).join(','),
    status === 'valid' ? `${formatDuration(grant.expiresAtMs - nowMs)} left` : '',
  ]);
  context.output.result(
    issued.map(({ grant, status }) => ({ ...describedGrant(grant), status })),
    rows.length === 0
      ? ['no grant issued yet']
      : table([['GRANT', 'STATUS', 'PURPOSE', 'MEDIATORS', ''], ...rows]),
  );
}

function show(context: Context, id: string): void {
  const grant = readGrant(openAuthority(context.authorityPath), id);
  context.output.result({ ...describedGrant(grant), document: grant.text }, [
    `grant ${grant.id}`,
    ...grantSentences(grant),
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
  context.output.result(describedGrant(grant), [`grant ${grant.id} kept`, ...grantSentences(grant)]);
}
