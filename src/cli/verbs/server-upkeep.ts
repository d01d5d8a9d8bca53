import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { serverAddressText } from '../../policy/server-address.ts';
import { backUp, restore } from '../../server/backup.ts';
import { readServerConfig } from '../../server/config.ts';
import { readKeyAndCertificate } from '../../server/tls-keys.ts';
import { type Context, contextOf } from '../context.ts';
import { defaultServerState, requireServer } from '../delivery.ts';
import { examples } from '../examples.ts';
import { print } from '../output.ts';
import { serverUnit } from '../server-unit.ts';

interface StateOption {
  readonly state: string;
}

/** Adds `entremise server check-config|unit|backup|restore`. */
export function addUpkeepVerbs(server: Command): void {
  const verb = (name: string, description: string) =>
    server
      .command(name)
      .description(description)
      .option('--state <directory>', 'its state', defaultServerState);
  verb('check-config', 'would it run with what is there?')
    .option('--config <file>', 'server.toml in the state directory by default')
    .addHelpText('after', examples('server check-config', 'server check-config --config new.toml'))
    .action((options: StateOption & { config?: string }, command) => check(contextOf(command), options));
  verb('unit', 'print a hardened systemd unit')
    .option('--user <name>', 'the system user that it runs as', 'entremise')
    .addHelpText('after', examples('server unit > /etc/systemd/system/entremise-server.service'))
    .action((options: StateOption & { user: string }) => unit(options));
  verb('backup', 'copy its state, keys included, to a new directory; it may be running')
    .argument('<directory>')
    .addHelpText('after', examples('server backup /srv/backup/entremise-2026-11-29'))
    .action((target: string, options: StateOption, command) => backup(contextOf(command), target, options));
  verb('restore', 'make a state of a backup, in a directory with nothing in it')
    .argument('<backup>')
    .addHelpText(
      'after',
      examples('server restore /srv/backup/entremise-2026-11-29 --state /var/lib/entremise'),
    )
    .action((from: string, options: StateOption, command) => restoreFrom(contextOf(command), from, options));
}

function check({ output }: Context, { state, config }: StateOption & { config?: string }): void {
  if (config === undefined) requireServer(state);
  const { listen, api } = readServerConfig(state, config);
  readKeyAndCertificate(state);
  output.result({ ok: true, listen: serverAddressText(listen), api }, ['the configuration is good']);
}

function unit({ state, user }: StateOption & { user: string }): void {
  requireServer(state);
  const { listen } = readServerConfig(state);
  const program = [process.execPath, realpathSync(process.argv[1] ?? '')];
  print(serverUnit({ program, stateDir: resolve(state), user, number: listen.number }));
}

async function backup({ output }: Context, target: string, { state }: StateOption): Promise<void> {
  requireServer(state);
  const copied = await backUp(state, target);
  output.result({ backup: resolve(target), copied }, [
    `copied to ${resolve(target)}: ${copied.join(', ')}`,
    'It has the keys of the server: keep it as you keep them.',
  ]);
}

async function restoreFrom({ output }: Context, from: string, { state }: StateOption): Promise<void> {
  requireServer(from);
  const copied = await restore(from, state);
  output.result({ restored: resolve(state), from: resolve(from), copied }, [
    `restored to ${resolve(state)}: ${copied.join(', ')}`,
    'Give it to the user whom the server runs as (chown -R), then start the server.',
  ]);
}
