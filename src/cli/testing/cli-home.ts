import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliLab, type RunningCli } from './cli-lab.ts';

/** A whole Entremise on loopback, made and run by the CLI's own verbs. */
export interface CliHome {
  readonly lab: CliLab;
  readonly server: RunningCli;
  readonly mediator: RunningCli;
  readonly address: string;
  /** The enrolment codes that were used. */
  readonly codes: readonly string[];
  readonly grantId: string;
  /** Starts the mediator once more. */
  startMediator(): RunningCli;
}

/** Its mediator's configuration: the owner names loopback, which nothing else would open (P6.8). */
function mediatorConfig(stateDir: string): string {
  return `stateDir = "${stateDir}"
[owner]
targets = { networks = ["loopback"], tcp = ["1-65535"], udp = ["1-65535"] }
ports = { addresses = ["loopback"], tcp = ["1024-65535"], udp = ["1024-65535"] }
`;
}

/** The port that a server's log names. */
function portOf(line: string): number | undefined {
  const match = /"listen":"127\.0\.0\.1:(\d+)".*server ready/.exec(line);
  return match === null ? undefined : Number(match[1]);
}

/** Sets everything up: authority, server, mediator gw-1 (running), terminal anna with a grant for it. */
export async function makeCliHome(t: { teardown(run: () => Promise<void>): void }): Promise<CliHome> {
  const lab = new CliLab(t);
  const { keys } = await lab.json<{ keys: string[] }>(['authority', 'init', '--operator', 'Example Telecom']);
  const [authorityKey = ''] = keys;
  const init = ['server', 'init', '--state', lab.server, '--authority-key', authorityKey];
  const { pin } = await lab.json<{ pin: string }>([...init, '--address', '127.0.0.1:8443']);
  const config = join(lab.directory, 'server.toml');
  writeFileSync(config, `authorityKey = "${authorityKey}"\nlisten = "127.0.0.1:0"\n`);
  const server = lab.start(['server', 'run', '--state', lab.server, '--config', config]);
  const address = `127.0.0.1:${await server.line(portOf)}`;
  const local = ['--server-state', lab.server];
  await lab.json(['authority', 'trust', '--pin', pin, '--address', address, ...local]);
  const invite = (role: string, name: string) =>
    lab.json<{ code: string }>(['authority', 'invite', role, name, ...local]);
  const [gateway, anna] = await Promise.all([invite('mediator', 'gw-1'), invite('terminal', 'anna')]);

  const state = join(lab.directory, 'mediator');
  const enrolGateway = ['mediator', 'enroll', '--server', address, '--state', state];
  await Promise.all([
    lab.json(enrolGateway, { env: { ENTREMISE_CODE: gateway.code } }),
    lab.json(['enroll', '--server', address], { input: `${anna.code}\n` }),
  ]);
  const mediatorToml = join(lab.directory, 'mediator.toml');
  writeFileSync(mediatorToml, mediatorConfig(state));
  const startMediator = () => lab.start(['mediator', 'run', '--config', mediatorToml]);
  const mediator = startMediator();
  const loopback = ['--target', 'loopback', '--listen-on', 'loopback'];
  const create = ['grant', 'create', '--terminal', 'anna', '--mediator', 'gw-1', ...loopback, ...local];
  const { id } = await lab.json<{ id: string }>(create);
  await lab.json(['mediators', '--wait', 'gw-1']);
  return {
    lab,
    server,
    mediator,
    address,
    codes: [gateway.code, anna.code],
    grantId: id,
    startMediator,
  };
}
