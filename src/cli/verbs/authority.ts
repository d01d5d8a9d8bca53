import type { Command } from 'commander';
import {
  authorityFiles,
  currentTrustStatement,
  initAuthority,
  issueMemberStatement,
  issueTrustStatement,
  makeInvitation,
  openAuthority,
  revokeKeys,
} from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { defaultInvitationLifeMs } from '../../policy/inviter.ts';
import { quoted } from '../../policy/target.ts';
import { signed } from '../as-usage.ts';
import { type Context, collect, contextOf } from '../context.ts';
import { deliver } from '../delivery.ts';
import { formatDuration, parseDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { knownMembers, memberKeyOf } from '../member-lookup.ts';
import { badUsage } from '../output.ts';
import { addDelegateVerbs } from './authority-delegate.ts';
import { addInviterVerbs } from './authority-inviter.ts';
import { addAuthorityKeyVerbs } from './authority-keys.ts';

/** Adds `entremise authority init|trust|invite|label|delegate|inviter|revoke-key|show`. */
export function addAuthorityVerb(program: Command): void {
  const authority = program
    .command('authority')
    .description("the operator's signing keys: keep them away from the server");
  authority
    .command('init')
    .description('make an authority; do this once per operator')
    .requiredOption('--operator <name>', 'the name that members will see')
    .addHelpText('after', examples("authority init --operator 'Example Telecom'"))
    .action((options: { operator: string }, command) => init(contextOf(command), options.operator));
  authority
    .command('trust')
    .description('say which servers members may believe, and tell the server')
    .option('--pin <pin>', 'pin of a server, as "entremise server init" printed it; may be repeated', collect)
    .option('--address <host:port>', 'where members reach it; may be repeated', collect)
    .addHelpText('after', examples('authority trust --pin <pin> --address server.example:8443'))
    .action((options: { pin?: string[]; address?: string[] }, command) => trust(contextOf(command), options));
  addInvite(authority);
  addDelegateVerbs(authority);
  addInviterVerbs(authority);
  addAuthorityKeyVerbs(authority);
  authority
    .command('label')
    .description("set a member's labels, or its name, by a statement of the authority's own")
    .argument('<role>', 'mediator or terminal')
    .argument('<name>')
    .requiredOption('--key <key>', "the member's key, or with --server-state its present name")
    .option('--label <label>', 'may be repeated', collect)
    .addHelpText('after', examples('authority label mediator home-4711 --key home-4711 --label voip'))
    .action((role: string, name: string, options: { key: string; label?: string[] }, command) =>
      label(contextOf(command), roleOf(role), name, options),
    );
  authority
    .command('revoke-key')
    .argument('<name|key>', 'a name is looked up with --server-state')
    .description('shut a member out: its links and what it runs end within 5 s')
    .addHelpText('after', examples('authority revoke-key home-4711 --server-state /var/lib/entremise'))
    .action((who: string, _options, command) => revoke(contextOf(command), who));
  authority
    .command('show')
    .description('operator, keys and trust statement')
    .addHelpText('after', examples('authority show'))
    .action((_options, command) => show(contextOf(command)));
}

function addInvite(authority: Command): void {
  authority
    .command('invite')
    .description('make a one-time enrolment code and tell the server')
    .argument('<role>', 'mediator or terminal')
    .argument('<name>', 'unique among the members of the operator')
    .option('--label <label>', 'may be repeated', collect)
    .option('--for <duration>', 'how long the code can be used; 10m by default')
    .addHelpText(
      'after',
      '\nThe server must have been told before the code is used.\n\nExample:\n  entremise authority invite mediator home-4711 --label voip --label north',
    )
    .action((role: string, name: string, options: { label?: string[]; for?: string }, command) =>
      invite(contextOf(command), roleOf(role), name, options),
    );
}

function roleOf(text: string): 'mediator' | 'terminal' {
  if (text === 'mediator' || text === 'terminal') return text;
  throw badUsage(`A member is a mediator or a terminal, not ${quoted(text)}.`);
}

function init(context: Context, operator: string): void {
  const authority = initAuthority(context.authorityPath, operator);
  context.output.result({ operator, directory: authority.directory, keys: authority.publicKeys }, [
    `authority of ${operator} made in ${authority.directory}`,
    `  key        ${authority.publicKeys[0]}`,
    `  successor  ${authority.publicKeys[1]}`,
    'Keep a copy of this directory where the server is not. Next:',
    `  entremise server init --authority-key ${authority.publicKeys[0]} ...   (on the server)`,
    '  entremise authority trust --pin <pin> --address <host:port>',
  ]);
}

async function trust(context: Context, options: { pin?: string[]; address?: string[] }): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const changes = {
    ...(options.pin === undefined ? {} : { serverPins: options.pin }),
    ...(options.address === undefined ? {} : { serverAddresses: options.address }),
  };
  const statement = await signed(issueTrustStatement(authority, changes, systemClock.wallTimeMs()));
  const delivered = await deliver(context, [statement.text], authorityFiles.trust(authority.directory));
  context.output.result({ seq: statement.seq, delivered: delivered.how, document: statement.text }, [
    `trust statement ${statement.seq} of ${statement.operator} signed`,
    delivered.sentence,
  ]);
}

async function invite(
  context: Context,
  role: 'mediator' | 'terminal',
  name: string,
  options: { label?: string[]; for?: string },
): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const lifeMs = options.for === undefined ? defaultInvitationLifeMs : parseDuration(options.for);
  const identity = { role, name, labels: options.label ?? [] };
  const nowMs = systemClock.wallTimeMs();
  const { code, invitation } = await signed(makeInvitation(authority, identity, nowMs, lifeMs));
  const file = authorityFiles.invitation(authority.directory, invitation.key);
  const delivered = await deliver(context, [invitation.text], file);
  const verb = role === 'mediator' ? 'mediator enroll' : 'enroll';
  context.output.result({ code, role, name, delivered: delivered.how, document: invitation.text }, [
    `code for the ${role} ${name}, good for ${formatDuration(lifeMs)}, once:`,
    `  ${code}`,
    delivered.sentence,
    `Then, at the ${role}: entremise ${verb} --server <host:port>   (it asks for the code)`,
  ]);
}

async function label(
  context: Context,
  role: 'mediator' | 'terminal',
  name: string,
  options: { key: string; label?: string[] },
): Promise<void> {
  const key = await memberKeyOf(context, options.key);
  const authority = openAuthority(context.authorityPath);
  const identity = { role, name, labels: options.label ?? [] };
  const statement = await signed(issueMemberStatement(authority, key, identity, systemClock.wallTimeMs()));
  const delivered = await deliver(context, [statement.text], authorityFiles.member(authority.directory, key));
  const { seq, text: document } = statement;
  context.output.result({ ...identity, key, seq, delivered: delivered.how, document }, [
    `${name} is a ${role} with labels: ${identity.labels.join(', ') || 'none'}`,
    delivered.sentence,
  ]);
}

async function revoke(context: Context, who: string): Promise<void> {
  const key = await memberKeyOf(context, who);
  const authority = openAuthority(context.authorityPath);
  const member = (await knownMembers(context)).find(each => each.key === key);
  const keys = [key, ...(member?.invitationKeys ?? [])];
  const statement = await revokeKeys(authority, keys, systemClock.wallTimeMs());
  const delivered = await deliver(context, [statement.text], authorityFiles.trust(authority.directory));
  context.output.result({ revoked: key, seq: statement.seq, delivered: delivered.how }, [
    `key ${key} is revoked (trust statement ${statement.seq})`,
    delivered.sentence,
  ]);
}

async function show(context: Context): Promise<void> {
  const authority = openAuthority(context.authorityPath);
  const statement = await currentTrustStatement(authority);
  context.output.result(
    { operator: authority.operator, keys: authority.publicKeys, trust: statement?.text },
    [
      `operator   ${authority.operator}`,
      `key        ${authority.publicKeys[0]}`,
      `successor  ${authority.publicKeys[1]}`,
      `trust      ${statement === undefined ? 'no statement yet' : `statement ${statement.seq}`}`,
    ],
  );
}
