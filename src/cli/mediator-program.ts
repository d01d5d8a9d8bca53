import { existsSync, statSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { EntremiseError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { software, version } from '../base/version.ts';
import { ConfigFile, isUci, readMediatorConfig, routerStateDir } from '../mediator/config-file.ts';
import { runMediator } from '../mediator/run.ts';
import { MemberDirectory } from '../member/directory.ts';
import { enrol } from './enrol-member.ts';
import { badUsage, createOutput, reportFailure } from './output.ts';

/**
 * The mediator's own program, small because it ships to routers: `run`, `enroll`, `check-config`, `--version`. The CLI's
 * `entremise mediator` is the same.
 */

/** Where the configuration is unless another file is named. */
const defaultConfig = '/etc/entremise/mediator.toml';

const exampleState = '/etc/entremise/mediator';

const help = `Usage: entremise-mediator run [--config FILE]
       entremise-mediator enroll --server HOST:PORT (--state DIRECTORY | --config FILE)
       entremise-mediator check-config [--config FILE]
       entremise-mediator --version

  run           keep the tunnel to the server; SIGTERM ends it, SIGHUP reads the configuration again
  enroll        make this machine a mediator, with the code that the operator gave
                (read from ENTREMISE_CODE, else from standard input)
                and keep its key in the directory
  check-config  say whether the configuration would be taken

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
  json: { type: 'boolean' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
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

/** Root enrols for the service: what is written belongs to whom the directory belongs to. */
function becomeOwnerOf(directory: string): void {
  const owner = statSync(directory, { throwIfNoEntry: false });
  if (process.getuid?.() !== 0 || owner === undefined || owner.uid === 0) return;
  process.setgroups?.([owner.gid]);
  process.setgid?.(owner.gid);
  process.setuid?.(owner.uid);
}

async function runVerb(verb: string | undefined, values: Values): Promise<void> {
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
    else await runVerb(positionals[0], values);
    return 0;
  } catch (thrown) {
    return reportFailure(thrown, words.includes('--json'));
  }
}
