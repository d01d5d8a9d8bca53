import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Namespace } from 'netns-test-helpers';

/** A real sshd with keys and configuration of its own, and the words for a real ssh to trust it. */

/**
 * Words that run what follows them with a /run of its own: sshd insists on /run/sshd, which its Debian service would make, and of
 * several test files that ran sshd the first to end took that folder from the others.
 */
export const withOwnRun: readonly string[] = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mount -t tmpfs tmpfs /run && mkdir -m 0755 /run/sshd && exec "$@"',
  'sh',
];

function configuration(folder: string): string {
  const lines = [
    'Port 22',
    `HostKey ${join(folder, 'host_key')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    'AuthenticationMethods publickey',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    'PidFile none',
    'PrintMotd no',
    'Subsystem sftp internal-sftp',
  ];
  return `${lines.join('\n')}\n`;
}

/** Starts sshd on port 22; its keys and the client's go to `folder`. */
export async function startSshd(where: Namespace, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of ['host_key', 'user_key'])
    await where.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, name)]);
  writeFileSync(join(folder, 'authorized_keys'), readFileSync(join(folder, 'user_key.pub')));
  writeFileSync(join(folder, 'sshd_config'), configuration(folder));
  where.spawn([...withOwnRun, '/usr/sbin/sshd', '-D', '-e', '-f', join(folder, 'sshd_config')]);
  await where.untilListening('tcp', 22);
}

/** The options of ssh and its kin: the user's key, nobody's configuration, the way there by `proxyCommand`. */
export function sshOptions(folder: string, proxyCommand: string): string[] {
  const settings = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: join(folder, 'known_hosts'),
    IdentityFile: join(folder, 'user_key'),
    IdentitiesOnly: 'yes',
    LogLevel: 'ERROR',
    ProxyCommand: proxyCommand,
  };
  return ['-F', 'none', ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])];
}
