import type { Command } from 'commander';
import { listRoles, openAuthority, type Role, readRole, removeRole, setRole } from '../../authority/index.ts';
import { type Context, contextOf } from '../context.ts';
import { formatDuration } from '../duration.ts';
import { examples } from '../examples.ts';
import { addTermOptions, type TermOptions, termsOf } from '../grant-terms.ts';
import { table } from '../output.ts';

/** Adds `entremise grant role set|list|show|remove`. */
export function addRoleVerbs(grant: Command): void {
  const role = grant
    .command('role')
    .description('what grants of a kind say, under a name: grant create --role');
  const set = role
    .command('set')
    .argument('<name>')
    .description('make a role, or another of it; what is not said here is as in a grant without a role')
    .addHelpText(
      'after',
      examples(
        'grant role set technician --tcp 22,80,443 --udp 161 --for 8h',
        'grant role set voip --purpose service --allow open,redirect,close,datagram --udp 5060,10000-20000 --for 30d',
      ),
    )
    .action((name: string, options: TermOptions, command) => setOne(contextOf(command), name, options));
  addTermOptions(set, 'assistance or service', 'how long its grants live');
  role
    .command('list')
    .description('the roles there are')
    .addHelpText('after', examples('grant role list'))
    .action((_options, command) => list(contextOf(command)));
  role
    .command('show')
    .argument('<name>')
    .description('one role in full')
    .addHelpText('after', examples('grant role show technician'))
    .action((name: string, _options, command) => show(contextOf(command), name));
  role
    .command('remove')
    .argument('<name>')
    .description('forget a role; grants that were made by it stay')
    .addHelpText('after', examples('grant role remove technician'))
    .action((name: string, _options, command) => remove(contextOf(command), name));
}

function setOne(context: Context, name: string, options: TermOptions): void {
  tell(context, setRole(openAuthority(context.authorityPath), name, termsOf(options)));
}

function show(context: Context, name: string): void {
  tell(context, readRole(openAuthority(context.authorityPath), name));
}

function remove({ authorityPath, output }: Context, name: string): void {
  removeRole(openAuthority(authorityPath), name);
  output.result({ removed: name }, [`role ${name} removed`]);
}

/** What a role says, a line each. */
function linesOf({ terms }: Role): string[] {
  const { purpose, commands, targets, ports, limits, lifeMs } = terms;
  const side = (fields: object) =>
    Object.entries(fields)
      .map(([name, value]) => `${name} ${String(value)}`)
      .join(', ');
  return [
    ...(purpose === undefined ? [] : [`  purpose   ${purpose}`]),
    ...(commands === undefined ? [] : [`  commands  ${commands.join(', ')}`]),
    ...(targets === undefined ? [] : [`  reaches   ${side(targets)}`]),
    ...(ports === undefined ? [] : [`  binds     ${side(ports)}`]),
    ...(limits === undefined ? [] : [`  limits    ${side(limits)}`]),
    ...(lifeMs === undefined ? [] : [`  for       ${formatDuration(lifeMs)}`]),
  ];
}

function tell({ output }: Context, role: Role): void {
  output.result({ role: role.name, ...role.terms }, [`role ${role.name}`, ...linesOf(role)]);
}

function list({ authorityPath, output }: Context): void {
  const roles = listRoles(openAuthority(authorityPath));
  const rows = roles.map(({ name, terms: { purpose = 'assistance', lifeMs } }) => [
    name,
    purpose,
    lifeMs === undefined ? '-' : formatDuration(lifeMs),
  ]);
  output.result(
    roles.map(({ name, terms }) => ({ role: name, ...terms })),
    rows.length === 0 ? ['there are no roles'] : table([['ROLE', 'PURPOSE', 'FOR'], ...rows]),
  );
}
