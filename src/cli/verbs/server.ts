import process from 'node:process';
import type { Command } from 'commander';
import { initAuthority, issueTrustStatement } from '../../authority/index.ts';
import { systemClock } from '../../base/clock.ts';
import { deferred } from '../../base/deferred.ts';
import { createLog } from '../../base/log.ts';
import { readStateFile, readStateFileIfPresent } from '../../base/state-file.ts';
import { MemberDirectory } from '../../member/directory.ts';
import { loadAddon } from '../../native/addon.ts';
import { type ServerAddress, serverAddressText } from '../../policy/server-address.ts';
import { readServerConfig } from '../../server/config.ts';
import { featureDirectory, featureNames, isFeatureName } from '../../server/features/feature-terminal.ts';
import { initServer } from '../../server/init.ts';
import { storedMembers } from '../../server/members.ts';
import { startServer } from '../../server/server.ts';
import { serverAddressOf } from '../as-usage.ts';
import { type Context, collect, contextOf, logLevelOf } from '../context.ts';
import { defaultServerState, deliverToInbox, requireServer } from '../delivery.ts';
import { enrol } from '../enrol-member.ts';
import { examples } from '../examples.ts';
import { badUsage, table } from '../output.ts';
import { keepServerMemory } from '../server-memory.ts';
import { addServerDelegateVerb } from './server-delegate.ts';
import { addServerKeyVerbs } from './server-keys.ts';
import { addTokenVerbs } from './server-token.ts';
import { addUpkeepVerbs } from './server-upkeep.ts';

/** Every address of the machine, at the number that members are told. A number is better above 1023, where NATs must keep
 * UDP mappings for two minutes (RFC 4787 REQ-5a). */
function listenOf(listen: string | undefined, [first]: readonly ServerAddress[]): ServerAddress {
  if (listen !== undefined) return serverAddressOf(listen);
  if (first === undefined) throw badUsage('Say how members reach the server: --address <host:port>.');
  return { host: '::', number: first.number };
}

interface InitOptions {
  readonly state: string;
  readonly listen?: string;
  readonly address: string[];
  readonly authorityKey?: string;
  readonly withAuthority?: boolean;
  readonly operator?: string;
}

/** Adds `entremise server` and its verbs. */
export function addServerVerb(program: Command): void {
  const server = program.command('server').description('the public switch between terminals and mediators');
  addInit(server);
  server
    .command('run')
    .description('run it until SIGTERM; SIGHUP after the audit was rotated or the certificate renewed')
    .option('--state <directory>', 'its state', defaultServerState)
    .option('--config <file>', 'server.toml in the state directory by default')
    .addHelpText('after', examples('server run', 'server run --state /srv/entremise --log-level debug'))
    .action((options: { state: string; config?: string }, command) => run(options, logLevelOf(command)));
  server
    .command('import')
    .description('give it documents that were carried by hand, one per line')
    .argument('<file...>')
    .option('--state <directory>', 'its state', defaultServerState)
    .addHelpText('after', examples('server import trust.jwt grant.jwt'))
    .action((files: string[], options: { state: string }, command) =>
      importFiles(contextOf(command), options.state, files),
    );
  server
    .command('enroll-feature')
    .description(
      'enrol what server.toml declares, with a code of the operator for a terminal; then start the server anew',
    )
    .argument('<feature>', featureNames.join(', '))
    .requiredOption('--server <host:port>', 'where the server is')
    .option('--state <directory>', 'its state', defaultServerState)
    .addHelpText('after', examples('server enroll-feature api --server server.example:8443'))
    .action((feature: string, options: { state: string; server: string }, command) =>
      enrolFeature(contextOf(command), feature, options),
    );
  addTokenVerbs(server);
  addServerDelegateVerb(server);
  addServerKeyVerbs(server);
  addUpkeepVerbs(server);
  server
    .command('members')
    .description('who is enrolled')
    .option('--state <directory>', 'its state', defaultServerState)
    .addHelpText('after', examples('server members', 'server members --json'))
    .action((options: { state: string }, command) => members(contextOf(command), options.state));
}

function addInit(server: Command): void {
  server
    .command('init')
    .description(
      'make a server: its TLS key and a spare, its configuration, an empty store; prints their pins',
    )
    .requiredOption('--address <host:port>', 'how members reach it; may be repeated', collect)
    .option('--listen <host:port>', 'where it listens; [::] and the number of --address by default')
    .option('--state <directory>', 'its state', defaultServerState)
    .option('--authority-key <key>', 'whose documents count, as "entremise authority init" printed it')
    .option(
      '--with-authority',
      'make an authority here too: for demos only, a stolen server is then a stolen operator',
    )
    .option('--operator <name>', 'with --with-authority: the name that members will see')
    .addHelpText(
      'after',
      examples(
        'server init --address server.example:8443 --authority-key <key>',
        'server init --address 127.0.0.1:8443 --state /tmp/demo --with-authority',
      ),
    )
    .action((options: InitOptions, command) => init(contextOf(command), options));
}

async function init(context: Context, options: InitOptions): Promise<void> {
  const { state: stateDir, address, withAuthority, operator } = options;
  const addresses = address.map(serverAddressOf);
  const listen = listenOf(options.listen, addresses);
  const authority =
    withAuthority === true ? initAuthority(context.authorityPath, operator ?? 'demo') : undefined;
  const authorityKey = authority?.publicKeys[0] ?? options.authorityKey;
  if (authorityKey === undefined)
    throw badUsage('Say whose documents count: --authority-key <key>, or --with-authority for a demo.');
  const { pin, sparePin } = await initServer({ stateDir, authorityKey, listen, addresses });
  if (authority !== undefined) {
    const trust = await issueTrustStatement(
      authority,
      { serverPins: [pin, sparePin], serverAddresses: address },
      systemClock.wallTimeMs(),
    );
    await deliverToInbox(stateDir, [trust.text]);
  }
  const told = addresses.map(each => `--address ${serverAddressText(each)}`).join(' ');
  context.output.result({ pin, sparePin, stateDir, authorityKey, listen: serverAddressText(listen) }, [
    `server made in ${stateDir}`,
    `  pin     ${pin}`,
    `  spare   ${sparePin}`,
    `  listen  ${serverAddressText(listen)}`,
    ...(authority === undefined
      ? [`Next, where the authority is: entremise authority trust --pin ${pin} --pin ${sparePin} ${told}`]
      : [`The authority is in ${authority.directory}, ON THE SERVER: for demos only.`]),
  ]);
}

/** How long peers may take to see the end of their links before the program ends without them. */
const farewellMs = 2_000;

async function run(options: { state: string; config?: string }, logLevel: string | undefined): Promise<void> {
  if (options.config === undefined) requireServer(options.state);
  const config = readServerConfig(options.state, options.config);
  const log = createLog(logLevel ?? config.logLevel);
  if (readStateFileIfPresent(`${config.stateDir}/authority/authority.key`) !== undefined) {
    log.warn('an authority is kept on this server: whoever steals the server is the operator');
  }
  const endThrift = keepServerMemory(loadAddon(), systemClock);
  const server = await startServer({ config, clock: systemClock, log });
  const ended = deferred<void>();
  const end = () => ended.resolve();
  const rotated = () => server.reload();
  process.once('SIGTERM', end).once('SIGINT', end).on('SIGHUP', rotated);
  await ended.promise;
  log.info('server ends');
  endThrift();
  await server.close();
  process.off('SIGHUP', rotated);
  // Links linger for peers that do not close; whoever stops a service does not wait for them.
  systemClock.after(farewellMs, () => process.exit());
}

async function enrolFeature(
  { output, log }: Context,
  feature: string,
  { state, server }: { state: string; server: string },
): Promise<void> {
  requireServer(state);
  if (!isFeatureName(feature))
    throw badUsage(`There is no feature ${feature}; there are ${featureNames.join(', ')}.`);
  const directory = new MemberDirectory(featureDirectory(state, feature));
  await enrol({ output, log, directory, role: 'terminal', server });
}

async function importFiles(context: Context, stateDir: string, files: readonly string[]): Promise<void> {
  const documents = files.flatMap(file =>
    readStateFile(file)
      .toString('utf8')
      .split(/\s+/)
      .filter(text => text !== ''),
  );
  const delivered = await deliverToInbox(stateDir, documents);
  context.output.result({ documents: documents.length, delivered: delivered.how }, [delivered.sentence]);
}

async function members(context: Context, stateDir: string): Promise<void> {
  requireServer(stateDir);
  const list = await storedMembers(stateDir);
  const rows = list.map(({ name, role, labels, key, lastSeenMs }) => [
    name,
    role,
    labels.join(',') || '-',
    lastSeenMs === 0 ? '-' : new Date(lastSeenMs).toISOString(),
    key,
  ]);
  context.output.result(
    list,
    rows.length === 0
      ? ['nobody is enrolled yet']
      : table([['NAME', 'ROLE', 'LABELS', 'LAST SEEN', 'KEY'], ...rows]),
  );
}
