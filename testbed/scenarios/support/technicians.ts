import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { CommandResult, Program } from 'netns-test-helpers';
import { cliCommand, mediatorName, serverAddress } from '../../site.ts';
import type { Stage } from './stage.ts';

/** Terminals beside the site's own: what is taken from one of them is missed by nobody else. */

/** A terminal that has enrolled and has one grant. */
export interface Technician {
  readonly name: string;
  readonly key: string;
  readonly grantId: string;
  /** Its directory: key, membership, grants. */
  readonly directory: string;
  /** Runs a verb to its end, with --json. */
  run(...words: readonly string[]): Promise<CommandResult>;
  /** Starts a verb, with --json; it is ended with the test. */
  start(t: ExecutionContext, ...words: readonly string[]): Program;
}

/** Environment of a profile of its own. */
export function profileOf({ folder }: Stage, name: string): Record<string, string> {
  return { XDG_CONFIG_HOME: join(folder, 'technicians', name) };
}

/** Where a terminal with this environment keeps its key, membership and grants: what the SDK calls its directory. */
export function profileFolder(env: Readonly<Record<string, string>>): string {
  return join(env.XDG_CONFIG_HOME ?? '', 'entremise', 'default');
}

/** Enrols a terminal with a code of the operator's. */
export async function enrolTerminal(stage: Stage, name: string): Promise<string> {
  const { site, home } = stage;
  const { code } = await site.authority('invite', 'terminal', name);
  const words = ['enroll', '--server', serverAddress, '--json'];
  const env = { ...profileOf(stage, name), ENTREMISE_CODE: String(code) };
  const printed = await home.terminal.run(cliCommand(...words), { env });
  return String((JSON.parse(printed) as Record<string, unknown>).key);
}

/** Grants a terminal the mediator, with what else is said of the grant; gives its id. */
export async function grantTo(stage: Stage, key: string, ...options: readonly string[]): Promise<string> {
  const words = ['grant', 'create', '--terminal', key, '--mediator', mediatorName, ...options];
  return String((await stage.site.operator(...words)).id);
}

/** Enrols a terminal and grants it the mediator, with what else is said of the grant. */
export async function hire(stage: Stage, name: string, ...grant: readonly string[]): Promise<Technician> {
  const key = await enrolTerminal(stage, name);
  const grantId = await grantTo(stage, key, ...grant);
  const env = profileOf(stage, name);
  const { terminal } = stage.home;
  return {
    name,
    key,
    grantId,
    directory: profileFolder(env),
    run: (...words) => terminal.exec(cliCommand(...words, '--json'), { env }),
    start(t, ...words) {
      const program = terminal.spawn(cliCommand(...words, '--json'), { env });
      t.teardown(() => program.stop('SIGKILL'));
      return program;
    },
  };
}
