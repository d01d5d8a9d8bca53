import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { generateSigningKey, loadSigningKey, saveSigningKey } from '../../base/keys.ts';
import { delegateKeyPath } from '../../server/features/held-keys.ts';
import { type Context, contextOf } from '../context.ts';
import { defaultServerState, requireServer } from '../delivery.ts';
import { examples } from '../examples.ts';

/** Adds `entremise server delegate-key`. */
export function addServerDelegateVerb(server: Command): void {
  server
    .command('delegate-key')
    .description('make the key by which the HTTP API signs grants and codes, or print it again')
    .option('--state <directory>', 'its state', defaultServerState)
    .addHelpText('after', examples('server delegate-key'))
    .action((options: { state: string }, command) => show(contextOf(command), options.state));
}

function show({ output }: Context, state: string): void {
  requireServer(state);
  const path = delegateKeyPath(state);
  if (!existsSync(path)) saveSigningKey(path, generateSigningKey());
  const { text: key } = loadSigningKey(path);
  output.result({ key }, [
    key,
    `Next, where the authority is: entremise authority delegate add api --key ${key} ... (as narrow as can be)`,
    `For enrolment codes there: entremise authority inviter add api --key ${key} --names <prefix> ...`,
  ]);
}
