import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from 'netns-test-helpers';
import { cliCommand, mediatorName, serverAddress, servicePort } from '../../site.ts';
import { homeAddresses } from '../../topologies/home.ts';
import { enrolFeature } from './plain-udp.ts';
import type { Stage } from './stage.ts';
import type { Json } from './verbs.ts';

/** A site whose server serves HTTP, with a token that may do everything, and how scenarios ask it: by the real curl. */

/** What scenarios of the API share. */
export interface ApiStage {
  /** What the page's commands are run with. */
  readonly env: Readonly<Record<string, string>>;
  /** The key of the API as a terminal. */
  readonly apiKey: string;
  /** Runs a verb of the server, and gives its --json result. */
  server(...words: string[]): Promise<Json>;
  /** Kills the server, and starts it again. */
  restart(): Promise<void>;
  /** Lets the server take the certificate that is there now, which has that pin. */
  reload(pin: string): Promise<void>;
}

/** Enrols the API, lets the server begin anew with it, and makes a token. */
export async function setUpApi(stage: Stage): Promise<ApiStage> {
  const { site, home } = stage;
  const state = join(site.directory, 'server');
  const server = async (...words: string[]): Promise<Json> => {
    const printed = await home.server.run(cliCommand('server', ...words, '--state', state, '--json'));
    return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as Json;
  };
  const { code } = await site.authority('invite', 'terminal', 'api');
  const enrolment = cliCommand(
    'server',
    'enroll-feature',
    'api',
    '--server',
    serverAddress,
    '--state',
    state,
    '--json',
  );
  const enrolled = await home.server.run(enrolment, { env: { ENTREMISE_CODE: String(code) } });
  const { key } = JSON.parse(enrolled.trim().split('\n').at(-1) ?? '') as Json;
  const wide = ['--target', 'lan', '--tcp', '1-65535', '--udp', '1-65535'];
  const granted = await site.operator(
    'grant',
    'create',
    '--terminal',
    String(key),
    '--mediator',
    mediatorName,
    '--purpose',
    'service',
    ...wide,
  );
  const { key: delegate } = await server('delegate-key');
  const bounds = ['--purpose', 'assistance,service', '--label', 'demo', '--tcp', '80'];
  await site.authority('delegate', 'add', 'api', '--key', String(delegate), ...bounds);
  const inviting = ['--names', 'new-', '--label', 'voip', '--life', '1h'];
  await site.authority('inviter', 'add', 'api', '--key', String(delegate), ...inviting);
  const { token } = await server(
    'token',
    'create',
    'test',
    '--grant',
    String(granted.id),
    '--scope',
    'grants',
    '--scope',
    'declare',
    '--scope',
    'enrol',
    '--scope',
    'labels',
  );
  await enrolFeature(site, 'publish');
  appendFileSync(join(state, 'server.toml'), '\n[api]\nenabled = true\n');
  await site.server.stop('SIGTERM', 5_000);
  let again = site.startServer();
  const line = await until(() => /"pin":"([^"]+)"/.exec(again.stdout + again.stderr), {
    what: 'the server',
    deadlineMs: 15_000,
  });
  const documents = await signedByHand(stage);
  const env = {
    SERVER: `https://${serverAddress}`,
    PIN: line[1] ?? '',
    TOKEN: String(token),
    DOCUMENTS: JSON.stringify(documents),
  };
  const restart = async () => {
    await again.stop('SIGKILL');
    again = site.startServer();
    await home.server.untilListening('tcp', servicePort);
  };
  const reload = async (pin: string) => {
    env.PIN = pin;
    again.kill('SIGHUP');
    const taken = () => (again.stdout + again.stderr).includes('certificate read again');
    await until(taken, { what: 'the certificate to be read', deadlineMs: 10_000 });
  };
  return { env, server, restart, reload, apiKey: String(key) };
}

/** Signs what nobody tells the server: new labels of the mediator, and an invitation. */
async function signedByHand({ site, home, folder }: Stage): Promise<unknown[]> {
  const sign = async (...words: string[]) => {
    const authority = ['--authority', join(site.directory, 'authority'), '--json'];
    const env = { XDG_CONFIG_HOME: join(folder, 'nobody') };
    const printed = await home.server.run(cliCommand('authority', ...words, ...authority), { env });
    return JSON.parse(printed) as Json;
  };
  const state = join(site.directory, 'server');
  const members = JSON.parse(
    await home.server.run(cliCommand('server', 'members', '--state', state, '--json')),
  );
  const { key } = (members as Json[]).find(({ name }) => name === mediatorName) ?? {};
  const labels = ['--label', 'demo', '--label', 'voip'];
  const label = await sign('label', 'mediator', mediatorName, '--key', String(key), ...labels);
  const invitation = await sign('invite', 'terminal', 'tech-9');
  return [label.document, invitation.document];
}

/** The commands of a page: blocks marked `sh` that define functions, and those marked `sh run`. */
export function blocksOf(path: string): { readonly functions: string; readonly runs: readonly Run[] } {
  const text = readFileSync(path, 'utf8');
  let heading = '';
  const runs: Run[] = [];
  const functions: string[] = [];
  for (const [, title, run, body = ''] of text.matchAll(/^#+ (.+)$|^```sh( run)?\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title;
    else if (run !== undefined) runs.push({ heading, body });
    else if (body.includes('() {')) functions.push(body);
  }
  return { functions: functions.join(''), runs };
}

/** A block that is run, and under which heading it stands. */
export interface Run {
  readonly heading: string;
  readonly body: string;
}

/** Runs a script at the terminal, as the page's readers would. */
export async function bash(
  stage: Stage & ApiStage,
  script: string,
  env: Readonly<Record<string, string>> = {},
) {
  const argv = ['bash', '-euo', 'pipefail', '-c', script];
  return stage.home.terminal.exec(argv, { env: { ...stage.env, ...env }, deadlineMs: 60_000 });
}

/** The command that asks the API and tells the status on a line of its own. */
export const ask = (path: string, more = '') =>
  `curl -sS -k -w '\\n%{http_code}' -H "Authorization: Bearer $TOKEN" ${more} "$SERVER${path}"`;

/** Words for curl that send a value. */
export const json = (value: object) => `-H 'Content-Type: application/json' -d '${JSON.stringify(value)}'`;

/** What asks the API: a path, more words for curl, another token; gives the status and what was said. */
export function askerOf(stage: Stage & ApiStage, own: Readonly<Record<string, string>> = {}) {
  return async (path: string, more = '', env = own) => {
    const [answer = '', status] = (await bash(stage, ask(path, more), env)).stdout.split('\n');
    return { status, answer: (answer === '' ? {} : JSON.parse(answer)) as Json };
  };
}

/** Spellings of what no grant over a LAN opens: the gateway itself, its loopback, and what a resolver would make of numbers. */
export const forbiddenHosts: readonly string[] = [
  '127.1',
  '127.0.0.1',
  '::1',
  '0.0.0.0',
  '::',
  '::ffff:127.0.0.1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '0x7f000001',
  '017700000001',
  '169.254.169.254',
  'fe80::1%br-lan',
  homeAddresses.gatewayLan,
];
