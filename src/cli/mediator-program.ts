import { existsSync, statSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { EntremiseError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { software, version } from '../base/version.ts';
import {
  ConfigFile,
  isUci,
  readMediatorConfig,
  routerControlSocket,
  routerStateDir,
} from '../mediator/config-file.ts';
import { askMediator } from '../mediator/control/ask.ts';
import { maxWindowMinutes } from '../mediator/control/consent.ts';
import type { ControlRequest } from '../mediator/control/control-socket.ts';
import { runMediator } from '../mediator/run.ts';
import { MemberDirectory } from '../member/directory.ts';
import { type Purpose, purposes } from '../policy/schema.ts';
import { enrol } from './enrol-member.ts';
import { statusLines } from './mediator-status.ts';
import { badUsage, createOutput, type Output, reportFailure } from './output.ts';

/**
 * The mediator's own program, small because it ships to routers. The CLI's
 * `entremise mediator` is the same.
 */

/** Where the configuration is unless another file is named. */
const defaultConfig = '/etc/entremise/mediator.toml';

const exampleState = '/etc/entremise/mediator';

const help = `Usage: entremise-mediator run [--config FILE]
       entremise-mediator enroll --server HOST:PORT (--state DIRECTORY | --config FILE)
       entremise-mediator check-config [--config FILE]
       entremise-mediator status
       entremise-mediator allow MINUTES [--purpose assistance|service]
       entremise-mediator stop
       entremise-mediator --version

  run           keep the tunnel to the server; SIGTERM ends it, SIGHUP reads the configuration again
  enroll        make this machine a mediator, with the code that the operator gave
                (read from ENTREMISE_CODE, else from standard input)
                and keep its key in the directory
  check-config  say whether the configuration would be taken

  status        who is attached, since when, to what; what the owner has allowed; what is wrong
  allow         the owner's consent: opens the window, of both purposes unless one is named
  stop          ends all access at once; nobody is let in until the owner allows it again

  --config FILE   ${defaultConfig} by default (ENTREMISE_CONFIG); a file of /etc/config, or *.uci, is read as UCI
  --state DIR     with UCI: ${routerStateDir} by default
  --json          one JSON value per result

Example:
  entremise-mediator enroll --server server.example:8443 --state ${exampleState}
  echo 'stateDir = "${exampleState}"' > ${defaultConfig}      # docs/configuration.md has the rest
  entremise-mediator run
`;

const options = {
  config: { type: 'string' },
  server: { type: 'string' },
  state: { type: 'string' },
  purpose: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const;

/** What the program reads, for those who complete it. */
export const mediatorWords = {
  verbs: ['run', 'enroll', 'check-config', 'status', 'allow', 'stop'],
  options,
} as const;

function parse(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true });
  } catch (thrown) {
    throw badUsage(
      `${thrown instanceof Error ? thrown.message : String(thrown)}; --help shows what there is.`,
    );
  }
}

type Values = ReturnType<typeof parse>['values'];

/** @throws EntremiseError `bad-config`, which shows the shortest file when there is none */
function configPath(values: Values): string {
  const path = values.config ?? (process.env.ENTREMISE_CONFIG || defaultConfig);
  if (existsSync(path)) return path;
  const message = `There is no ${path}. One line is enough: stateDir = "${exampleState}"`;
  throw new EntremiseError('bad-config', { message });
}

/** Of a router's configuration, which leaves it to the command line. */
function stateDirOf(values: Values): string {
  if (values.state !== undefined) return values.state;
  const path = configPath(values);
  return isUci(path) ? routerStateDir : readMediatorConfig(path).stateDir;
}

/** The owner has to be answered even where the configuration is wrong. */
function controlSocketOf(values: Values): string {
  const path = configPath(values);
  try {
    return readMediatorConfig(path, values.state).controlSocket;
  } catch (thrown) {
    if (!isUci(path)) throw thrown;
    return routerControlSocket;
  }
}

function allowRequest([minutes = '']: readonly string[], { purpose }: Values): ControlRequest {
  const isPurpose = (text: string): text is Purpose => (purposes as readonly string[]).includes(text);
  if (!/^[1-9]\d{0,4}$/.test(minutes) || Number(minutes) > maxWindowMinutes)
    throw badUsage(`Say for how many minutes, 1 to ${maxWindowMinutes}: entremise-mediator allow 30`);
  const request = { verb: 'allow', minutes: Number(minutes) } as const;
  if (purpose === undefined) return request;
  if (!isPurpose(purpose)) throw badUsage(`--purpose is one of ${purposes.join(', ')}.`);
  return { ...request, purpose };
}

async function tell(values: Values, request: ControlRequest, output: Output): Promise<void> {
  const status = await askMediator(controlSocketOf(values), request);
  output.result(status, statusLines(status));
}

/** Root enrols for the service: what is written belongs to whom the directory belongs to. */
function becomeOwnerOf(directory: string): void {
  const owner = statSync(directory, { throwIfNoEntry: false });
  if (process.getuid?.() !== 0 || owner === undefined || owner.uid === 0) return;
  process.setgroups?.([owner.gid]);
  process.setgid?.(owner.gid);
  process.setuid?.(owner.uid);
}

async function runVerb([verb, ...words]: readonly string[], values: Values): Promise<void> {
  const output = createOutput(values.json === true);
  switch (verb) {
    case 'run':
      return runMediator(new ConfigFile(configPath(values), values.state), { software });
    case 'check-config': {
      const { stateDir } = readMediatorConfig(configPath(values), values.state);
      return output.result({ ok: true, stateDir }, [`${configPath(values)} is good`]);
    }
    case 'enroll': {
      if (values.server === undefined) throw badUsage('Say where the server is: --server HOST:PORT.');
      const stateDir = stateDirOf(values);
      becomeOwnerOf(stateDir);
      const directory = new MemberDirectory(stateDir);
      return enrol({ output, log: createLog('warn'), directory, role: 'mediator', server: values.server });
    }
    case 'status':
      return tell(values, { verb: 'status' }, output);
    case 'stop':
      return tell(values, { verb: 'stop' }, output);
    case 'allow':
      return tell(values, allowRequest(words, values), output);
    default:
      throw badUsage(
        `${verb === undefined ? 'A verb is missing' : `There is no verb "${verb}"`}; --help shows what there is.`,
      );
  }
}

/** Runs the program on these words; gives its exit code. */
export async function mediatorProgram(words: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parse(words);
    if (values.help === true) process.stdout.write(help);
    else if (values.version === true) process.stdout.write(`${version}\n`);
    else await runVerb(positionals, values);
    return 0;
  } catch (thrown) {
    return reportFailure(thrown, words.includes('--json'));
  }
}
