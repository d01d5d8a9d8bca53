import { appendFile, chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Namespace } from 'netns-test-helpers';
import { withOwnRun } from '../scenarios/support/sshd.ts';

/**
 * What a technician would use without Entremise: a real sshd, and on the gateway a real ssh that dials out through the
 * NATs and opens a port there (`ssh -R`), the same way round as a mediator does.
 *
 *   terminal ──plain TCP──> sshd (server) <══ssh══ ssh (gateway) ──plain TCP──> device
 */

/** Where the two ends are. */
export interface SshPath {
  readonly server: Namespace;
  readonly serverAddress: string;
  readonly gateway: Namespace;
  /** Keys, configuration and logs go here; the caller removes it. */
  readonly folder: string;
}

/** One forwarded port. */
export interface SshForward {
  /** Of the server, where the load goes in. */
  readonly port: number;
  /** `address:number` as the gateway sees it. */
  readonly target: string;
}

/** One ssh connection, and what it forwards. */
export interface SshTunnel {
  /** A name of ssh's `Ciphers`; undefined for its default. */
  readonly cipher: string | undefined;
  readonly forwards: readonly SshForward[];
  /** The program; OpenSSH's when left out. */
  readonly client?: 'ssh' | 'dropbear';
  /** Words before ssh's own, which end in running what follows them; none when left out. */
  readonly wrapper?: readonly string[];
  /** Signs of life are asked for so often at both ends, three may be missing, and the tunnel is begun again when it ends. */
  readonly aliveSeconds?: number;
}

/** Where sshd listens. */
export const sshPort = 2222;

async function makeKeys(namespace: Namespace, folder: string): Promise<void> {
  for (const name of ['host_key', 'user_key'])
    await namespace.run([
      'ssh-keygen',
      '-q',
      '-t',
      'ed25519',
      '-N',
      '',
      '-C',
      name,
      '-f',
      join(folder, name),
    ]);
}

/** dbclient has a format of its own for keys. */
async function makeDropbearKey(namespace: Namespace, folder: string): Promise<void> {
  const key = join(folder, 'dropbear_key');
  const printed = await namespace.run(['dropbearkey', '-t', 'ed25519', '-f', key]);
  const line = printed.split('\n').find(each => each.startsWith('ssh-ed25519')) ?? '';
  await appendFile(join(folder, 'user_key.pub'), `${line}\n`);
}

function sshdConfig(folder: string, aliveSeconds: number): string {
  return [
    `Port ${sshPort}`,
    `HostKey ${join(folder, 'host_key')}`,
    `AuthorizedKeysFile ${join(folder, 'user_key.pub')}`,
    'AuthenticationMethods publickey',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    'PidFile none',
    'GatewayPorts yes',
    'AllowTcpForwarding yes',
    `ClientAliveInterval ${aliveSeconds}`,
    '',
  ].join('\n');
}

function sshArguments(path: SshPath, { cipher, forwards, aliveSeconds = 0 }: SshTunnel): string[] {
  return [
    ...['ssh', '-F', 'none', '-N', '-p', String(sshPort), '-i', join(path.folder, 'user_key')],
    ...['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'ExitOnForwardFailure=yes'],
    ...['-o', `UserKnownHostsFile=${join(path.folder, 'known_hosts')}`, '-o', 'LogLevel=ERROR'],
    ...['-o', `ServerAliveInterval=${aliveSeconds}`],
    ...(cipher === undefined ? [] : ['-c', cipher]),
    ...forwards.flatMap(({ port, target }) => ['-R', `0.0.0.0:${port}:${target}`]),
    `root@${path.serverAddress}`,
  ];
}

function dropbearArguments(path: SshPath, { forwards }: SshTunnel): string[] {
  return [
    ...['dbclient', '-N', '-y', '-y', '-p', String(sshPort), '-i', join(path.folder, 'dropbear_key')],
    ...forwards.flatMap(({ port, target }) => ['-R', `0.0.0.0:${port}:${target}`]),
    `root@${path.serverAddress}`,
  ];
}

function sshCommand(path: SshPath, tunnel: SshTunnel): string[] {
  const own = tunnel.client === 'dropbear' ? dropbearArguments(path, tunnel) : sshArguments(path, tunnel);
  const words = [...(tunnel.wrapper ?? []), ...own];
  if (tunnel.aliveSeconds === undefined) return words;
  return ['sh', '-c', 'while :; do "$@"; sleep 1; done', 'sh', ...words];
}

/** Starts sshd and the tunnels, and waits until they stand. The lab ends them. */
export async function startSsh(path: SshPath, tunnels: readonly SshTunnel[]): Promise<void> {
  await makeKeys(path.server, path.folder);
  if (tunnels.some(({ client }) => client === 'dropbear')) await makeDropbearKey(path.server, path.folder);
  const config = join(path.folder, 'sshd_config');
  const aliveSeconds = Math.max(...tunnels.map(each => each.aliveSeconds ?? 0));
  await writeFile(config, sshdConfig(path.folder, aliveSeconds));
  path.server.spawn([...withOwnRun, '/usr/sbin/sshd', '-D', '-e', '-f', config]);
  await path.server.untilListening('tcp', sshPort);
  for (const tunnel of tunnels) path.gateway.spawn(sshCommand(path, tunnel));
  for (const { port } of tunnels.flatMap(({ forwards }) => forwards))
    await path.server.untilListening('tcp', port);
}

/** Hands out a private folder for {@link SshPath.folder}, and removes it. */
export async function withSshFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp('/tmp/entremise-bench-ssh-');
  try {
    await chmod(folder, 0o755);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
