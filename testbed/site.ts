import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { CommandResult, Namespace, Program, SpawnOptions } from 'netns-test-helpers';
import { type Home, homeAddresses } from './topologies/home.ts';

/**
 * A whole Entremise in a {@link Home}: authority, server, mediator and terminal, each with a directory of its own, made
 * by the same commands that an operator types. The product is a black box here: its bundles are run.
 */

const bundles = fileURLToPath(new URL('../../dist/bundle/', import.meta.url));

/** The CLI's bundle. */
export const cliBundle = join(bundles, 'entremise.mjs');

/** The mediator's own bundle. */
export const mediatorBundle = join(bundles, 'entremise-mediator.mjs');

/**
 * V8 flags that the mediator ships with: a young generation of 1 MiB, which costs no speed and saves a third of memory, and
 * leave to collect when it is quiet.
 */
export const mediatorFlags = ['--max-semi-space-size=1', '--max-old-space-size=64', '--expose-gc'];

/** And the environment: glibc otherwise gives each of V8's threads a heap of its own, which it never gives back. */
export const mediatorEnv = { MALLOC_ARENA_MAX: '1' };

/** The one service port, TCP. */
export const servicePort = 8443;

/** The name that the mediator enrols under. */
export const mediatorName = 'home-1';

/** What may be otherwise. */
export interface SiteOptions {
  /** Where everything is kept; a fresh directory under the system's temporary one by default. */
  readonly directory?: string;
  /** Told of each step: the command, then what it printed. */
  readonly onCommand?: (where: string, command: string, printed: string) => void;
  /** Lines appended to mediator.toml. */
  readonly mediatorConfig?: string;
  /** Words before the mediator's own, which end in running what follows them: a name service of its own, say. */
  readonly mediatorWrapper?: readonly string[];
  /** Environment of the mediator and of its enrolment, beside its own. */
  readonly mediatorEnv?: Readonly<Record<string, string>>;
  /** Environment of the commands that make the authority and sign its first statement. */
  readonly foundingEnv?: Readonly<Record<string, string>>;
  /** Environment of the server, beside its own. */
  readonly serverEnv?: Readonly<Record<string, string>>;
  /** Environment of all that runs at the terminal, beside its own. */
  readonly terminalEnv?: Readonly<Record<string, string>>;
  /** Where the server listens; {@link serverAddress} when left out. */
  readonly listen?: string;
  /** Options of `grant create` beyond --terminal and --mediator. */
  readonly grant?: readonly string[];
  /** Programs must be able to outlive this process. */
  readonly detachable?: boolean;
}

/** The running parts. */
export interface Site {
  readonly home: Home;
  readonly directory: string;
  readonly server: Program;
  readonly mediator: Program;
  /** Text of the terminal's key. */
  readonly terminalKey: string;
  /** Id of the terminal's grant. */
  readonly grantId: string;
  /** Environment of the terminal's CLI. */
  readonly terminalEnv: Readonly<Record<string, string>>;
  /** Runs a verb of the authority (with the server's state at hand), and gives its --json result. */
  authority(...words: string[]): Promise<Record<string, unknown>>;
  /** Runs any verb where the operator signs, the server's state at hand, and gives its --json result. */
  operator(...words: string[]): Promise<Record<string, unknown>>;
  /** Runs a verb at the terminal, whatever its exit code. */
  terminal(...words: string[]): Promise<CommandResult>;
  /** Starts a verb at the terminal. */
  startTerminal(words: readonly string[], options?: SpawnOptions): Program;
  /** Starts the server, or the mediator, again, here perhaps behind other words than {@link SiteOptions.mediatorWrapper}. */
  startServer(): Program;
  startMediator(wrapper?: readonly string[]): Program;
}

/** The argv of a CLI call. */
export function cliCommand(...words: readonly string[]): string[] {
  return [process.execPath, cliBundle, ...words];
}

function lastJson(text: string): Record<string, unknown> {
  const line = text.trim().split('\n').at(-1) ?? '';
  return JSON.parse(line) as Record<string, unknown>;
}

/** A command as it is typed. */
function asTyped(words: readonly string[]): string {
  return ['entremise', ...words].map(word => (/\s/.test(word) ? `'${word}'` : word)).join(' ');
}

/** Runs verbs with --json, in one place for log and errors. */
function runner(options: SiteOptions) {
  return async (
    where: Namespace,
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, unknown>> => {
    const printed = await where.run(cliCommand(...words, '--json'), { env });
    options.onCommand?.(where.name, asTyped(words), printed.trim());
    return lastJson(printed);
  };
}

/** Where members reach the server, as `host:number`. */
export const serverAddress = `${homeAddresses.server}:${servicePort}`;

function writeMediatorConfig(directory: string, extra: string): string {
  const path = join(directory, 'mediator.toml');
  writeFileSync(path, `stateDir = "${join(directory, 'mediator')}"\nlogLevel = "info"\n${extra}\n`);
  return path;
}

/** Sets everything up and waits until the terminal sees the mediator online. */
export async function setUpSite(home: Home, options: SiteOptions = {}): Promise<Site> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'entremise-site-'));
  mkdirSync(directory, { recursive: true });
  const run = runner(options);
  const serverState = join(directory, 'server');
  const authorityPath = join(directory, 'authority');
  const signing = ['--authority', authorityPath, '--server-state', serverState];
  const terminalEnv = { ...options.terminalEnv, XDG_CONFIG_HOME: join(directory, 'terminal') };
  const founding = options.foundingEnv;
  const operator = (...words: string[]) => run(home.server, [...words, ...signing]);
  const authority = (...words: string[]) => operator('authority', ...words);
  const spawnOptions = (name: string): SpawnOptions =>
    options.detachable === true ? { outputFile: join(directory, `${name}.log`) } : {};

  const initWords = ['authority', 'init', '--operator', 'Example Telecom', '--authority', authorityPath];
  const made = await run(home.server, initWords, founding);
  const [authorityKey] = made.keys as string[];
  const server = [
    '--state',
    serverState,
    '--listen',
    options.listen ?? serverAddress,
    '--address',
    serverAddress,
  ];
  const { pin, sparePin } = await run(home.server, [
    'server',
    'init',
    '--authority-key',
    String(authorityKey),
    ...server,
  ]);
  const pins = ['--pin', String(pin), '--pin', String(sparePin)];
  const trustWords = ['authority', 'trust', ...pins, '--address', serverAddress, ...signing];
  await run(home.server, trustWords, founding);
  const startServer = () =>
    home.server.spawn(cliCommand('server', 'run', '--state', serverState), {
      ...spawnOptions('server'),
      env: { ...options.serverEnv },
    });
  const serverProgram = startServer();
  options.onCommand?.(home.server.name, asTyped(['server', 'run', '--state', serverState]), '(goes on)');
  await home.server.untilListening('tcp', servicePort);

  const invited = await authority('invite', 'mediator', mediatorName, '--label', 'demo');
  const mediatorState = join(directory, 'mediator');
  const enrolWords = ['mediator', 'enroll', '--server', serverAddress, '--state', mediatorState];
  await run(home.gateway, enrolWords, { ...options.mediatorEnv, ENTREMISE_CODE: String(invited.code) });
  const config = writeMediatorConfig(directory, options.mediatorConfig ?? '');
  const program = [process.execPath, ...mediatorFlags, mediatorBundle, 'run', '--config', config];
  // Said behind the wrapper, since it is not for the programs that the wrapper runs first.
  const env = Object.entries({ ...mediatorEnv, ...options.mediatorEnv }).map(entry => entry.join('='));
  const startMediator = (wrapper = options.mediatorWrapper ?? []) =>
    home.gateway.spawn([...wrapper, 'env', ...env, ...program], spawnOptions('mediator'));
  const mediator = startMediator();
  options.onCommand?.(home.gateway.name, asTyped(['mediator', 'run', '--config', config]), '(goes on)');

  const terminalCode = await authority('invite', 'terminal', 'anna');
  const enrolled = await run(home.terminal, ['enroll', '--server', serverAddress], {
    ...terminalEnv,
    ENTREMISE_CODE: String(terminalCode.code),
  });
  const terminalKey = String(enrolled.key);
  const grantWords = [
    'grant',
    'create',
    '--terminal',
    terminalKey,
    '--mediator',
    mediatorName,
    ...(options.grant ?? []),
  ];
  const grant = await operator(...grantWords);
  const site: Site = {
    home,
    directory,
    server: serverProgram,
    mediator,
    terminalKey,
    grantId: String(grant.id),
    terminalEnv,
    authority,
    operator,
    terminal: (...words) => home.terminal.exec(cliCommand(...words), { env: terminalEnv }),
    startTerminal: (words, extra = {}) =>
      home.terminal.spawn(cliCommand(...words), {
        ...spawnOptions(words[0] ?? 'terminal'),
        ...extra,
        env: terminalEnv,
      }),
    startServer,
    startMediator,
  };
  await run(home.terminal, ['mediators', '--wait', mediatorName], terminalEnv);
  return site;
}
