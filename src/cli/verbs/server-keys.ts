import type { Command } from 'commander';
import { saveAfterMs } from '../../server/reports.ts';
import { rotateServerKey, telling } from '../../server/rotate-key.ts';
import { ensureSpareKey, type ServerPins } from '../../server/tls-keys.ts';
import { type Context, contextOf } from '../context.ts';
import { defaultServerState, requireServer } from '../delivery.ts';
import { examples } from '../examples.ts';

interface StateOption {
  readonly state: string;
}

/** Adds `entremise server next-key|rotate-key`. */
export function addServerKeyVerbs(server: Command): void {
  server
    .command('next-key')
    .description('make a spare TLS key if there is none; print the pins that members must know')
    .option('--state <directory>', 'its state', defaultServerState)
    .addHelpText('after', examples('server next-key'))
    .action((options: StateOption, command) => nextKey(contextOf(command), options.state));
  server
    .command('rotate-key')
    .description('use the spare TLS key from now on, destroy the old one, make a new spare')
    .option('--leave-behind', 'although mediators that were away for long could never connect again')
    .option('--state <directory>', 'its state', defaultServerState)
    .addHelpText(
      'after',
      `\nRefused until the trust statement in force names the spare key.\n${examples('server rotate-key && systemctl reload entremise-server')}`,
    )
    .action((options: StateOption & { leaveBehind?: boolean }, command) =>
      rotate(contextOf(command), options.state, options.leaveBehind === true),
    );
}

function pinLines({ inUse, spare }: ServerPins): string[] {
  return [`  in use  ${inUse ?? 'lost'}`, `  spare   ${spare ?? 'none'}`];
}

async function nextKey({ output }: Context, state: string): Promise<void> {
  requireServer(state);
  const pins = await ensureSpareKey(state);
  output.result({ pin: pins.inUse, sparePin: pins.spare }, [
    'pins of the keys of this server',
    ...pinLines(pins),
    `Where the authority is: ${telling(pins)}`,
  ]);
}

/** A server that runs has by then written which mediators it has heard: one that came and went just now is to count. */
function untilSaved(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, saveAfterMs + 500));
}

async function rotate({ output }: Context, state: string, leaveBehind: boolean): Promise<void> {
  requireServer(state);
  if (!leaveBehind) await untilSaved();
  const { before, pins } = await rotateServerKey(state, leaveBehind);
  output.result({ pin: pins.inUse, sparePin: pins.spare, before }, [
    'the spare key is the one in use, the old one is no more',
    ...pinLines(pins),
    'Next, here:      systemctl reload entremise-server   (SIGHUP; no link is touched)',
    `then, where the authority is: ${telling(pins)}`,
  ]);
}
