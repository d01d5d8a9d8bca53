import type { Command } from 'commander';
import { byFile, type Declarations } from '../../server/declared/declarations.ts';
import { readServiceFile, type ServiceChange, serviceChanges } from '../../server/declared/service-file.ts';
import { type StandingServiceText, standingServiceText } from '../../server/declared/standing-service.ts';
import { type Context, contextOf } from '../context.ts';
import { byCli, statusNow, withDeclarations } from '../declarations.ts';
import { defaultServerState } from '../delivery.ts';
import { examples } from '../examples.ts';
import { badUsage, table } from '../output.ts';

interface StateOption {
  readonly state: string;
}

interface FileOptions extends StateOption {
  readonly prune?: boolean;
}

const fileHelp = `
The file:
  [[service]]
  name = "voip"
  at = "lan:5060"                   # of each mediator
  to = "198.51.100.9:5060"          # the plain server
  labels = ["voip"]                 # or: mediator = "home-4711", wanted = true
`;

/** Adds `entremise service apply|diff|list|remove`: standing services of a server. */
export function addServiceVerb(program: Command): void {
  const service = program
    .command('service')
    .description('ports that a server keeps open on mediators, whose devices come out at a plain server');
  const verb = (name: string, description: string) =>
    service
      .command(name)
      .description(description)
      .option('--state <directory>', "the server's state", defaultServerState);
  const pruned = 'what the file has not is to go';
  verb('apply', 'make the services of a file so, on every mediator that they are for, without a restart')
    .argument('<file>')
    .option('--prune', pruned)
    .addHelpText(
      'after',
      fileHelp + examples('service apply voip.toml', 'service apply services.toml --prune'),
    )
    .action((file: string, options: FileOptions, command) => apply(contextOf(command), file, options));
  verb('diff', 'what "service apply" would change')
    .argument('<file>')
    .option('--prune', pruned)
    .addHelpText('after', examples('service diff voip.toml', 'service diff services.toml --prune --json'))
    .action((file: string, options: FileOptions, command) => diff(contextOf(command), file, options));
  verb('list', 'those there are, and on each mediator how it stands and why')
    .addHelpText('after', examples('service list', 'service list --json'))
    .action((options: StateOption, command) => list(contextOf(command), options));
  verb('remove', 'end one on all mediators')
    .argument('<name>')
    .addHelpText('after', examples('service remove voip'))
    .action((name: string, options: StateOption, command) => remove(contextOf(command), name, options));
}

/** What a file changes of what is declared; a service of server.toml that it names otherwise is refused when it is applied. */
function changesOf(
  declarations: Declarations,
  file: string,
  { prune = false }: FileOptions,
): ServiceChange[] {
  const services = readServiceFile(file);
  const named = new Set(services.map(({ name }) => name));
  const now = declarations
    .services()
    .filter(({ declaredBy, value }) => declaredBy !== byFile || named.has(value.name));
  return serviceChanges(services, now, prune);
}

const signs = { added: '+', changed: '~', removed: '-' } as const;

function changeText({ name, change, before, after }: ServiceChange): string[] {
  const lines = [`${signs[change]} ${name}`];
  for (const key of new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])) {
    const [was, is] = [before, after].map(each => JSON.stringify(each?.[key as keyof StandingServiceText]));
    if (key !== 'name' && was !== is) lines.push(`    ${key}: ${[was, is].filter(Boolean).join(' -> ')}`);
  }
  return lines;
}

async function diff(context: Context, file: string, options: FileOptions): Promise<void> {
  const changes = await withDeclarations(context, options.state, declarations =>
    changesOf(declarations, file, options),
  );
  context.output.result(
    changes,
    changes.length === 0 ? ['nothing would change'] : changes.flatMap(changeText),
  );
}

async function apply(context: Context, file: string, options: FileOptions): Promise<void> {
  const changes = await withDeclarations(context, options.state, declarations => {
    const wanted = new Map(readServiceFile(file).map(each => [each.name, each]));
    const found = changesOf(declarations, file, options);
    for (const { name } of found) {
      const service = wanted.get(name);
      if (service === undefined) declarations.remove('service', name);
      else declarations.applyService(service, byCli);
    }
    return found;
  });
  const also =
    statusNow(options.state) === undefined ? ['The server is not running; it does so when it starts.'] : [];
  context.output.result(changes, [
    ...(changes.length === 0 ? ['nothing has changed'] : changes.flatMap(changeText)),
    ...also,
  ]);
}

async function list(context: Context, { state }: StateOption): Promise<void> {
  const declared = await withDeclarations(context, state, declarations => declarations.services());
  const told = statusNow(state)?.services ?? [];
  const all = declared.map(({ value, declaredBy }) => {
    const status = told.find(({ name }) => name === value.name);
    return status ?? { ...standingServiceText(value), declaredBy, problem: 'not running', mediators: [] };
  });
  const rows = all.flatMap(({ name, protocol, at, to, problem, mediators }) => {
    const service = [name, protocol, at, to];
    if (mediators.length === 0) return [[...service, '-', problem ?? 'no mediator is it for']];
    return mediators.map(({ mediator, ...each }) => [
      ...service,
      mediator,
      each.state === 'applied' ? each.state : `${each.state}: ${each.reason}`,
    ]);
  });
  const head = ['NAME', '', 'AT', 'TO', 'MEDIATOR', 'STATE'];
  context.output.result(all, rows.length === 0 ? ['there are no services'] : table([head, ...rows]));
}

async function remove(context: Context, name: string, { state }: StateOption): Promise<void> {
  const removed = await withDeclarations(context, state, declarations =>
    declarations.remove('service', name),
  );
  if (!removed)
    throw badUsage(`There is no service ${JSON.stringify(name)}; "service list" shows those there are.`);
  context.output.result({ name, removed }, [`service ${name} is removed`]);
}
