import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { type Namespace, type Program, type SpawnOptions, until } from 'netns-test-helpers';
import { type Json, jsonLines } from './verbs.ts';

/** The real programs at both ends of the product. */

/** The path of one of testbed/programs. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`../../../../testbed/programs/${name}`, import.meta.url));
}

/** Starts testbed/programs/tcp-peer.py, which does the steps it is told and says what it sees. */
export function tcpPeer(
  t: ExecutionContext,
  where: Namespace,
  words: readonly (string | number)[],
  options: SpawnOptions = {},
): Program {
  const program = where.spawn(['python3', programPath('tcp-peer.py'), ...words.map(String)], options);
  t.teardown(() => program.stop('SIGKILL'));
  return program;
}

/** As {@link tcpPeer}, listening. */
export async function tcpService(
  t: ExecutionContext,
  where: Namespace,
  address: string,
  number: number,
  steps: readonly string[],
): Promise<Program> {
  const program = tcpPeer(t, where, ['listen', address, number, ...steps], { stdin: 'pipe' });
  await program.untilOutput(/"listen"/);
  return program;
}

/** Waits until a peer has said something that has all of `wanted`, and gives it. */
export function untilSaid(peer: Program, wanted: Json, deadlineMs = 10_000): Promise<Json> {
  const entries = Object.entries(wanted);
  const matches = (line: Json) => entries.every(([key, value]) => line[key] === value);
  return until(() => jsonLines(peer.stdout).find(matches), {
    what: `${peer} to say ${JSON.stringify(wanted)}`,
    deadlineMs,
    explain: () => `it said: ${peer.stdout}${peer.stderr}`,
  });
}

/** Makes a file of random bytes. */
export function makeRandomFile(path: string, bytes: number): void {
  writeFileSync(path, randomBytes(bytes));
}

/** SHA-256 of a file, in hexadecimal. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Starts a real dnsmasq that knows `names`, on port 53 of an address. */
export async function startNameServer(
  where: Namespace,
  address: string,
  names: Readonly<Record<string, string>> | readonly (readonly [name: string, target: string])[],
): Promise<Program> {
  const entries = Array.isArray(names) ? names : Object.entries(names);
  const known = entries.map(([name, target]) => `--address=/${name}/${target}`);
  const alone = ['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=root'];
  const at = [`--listen-address=${address}`, '--bind-interfaces', '--port=53'];
  const program = where.spawn(['dnsmasq', ...alone, ...at, ...known]);
  await where.untilListening('udp', 53);
  return program;
}

/** Words that run what follows them with a name server of its own, the machine's files left as they are. */
export function withNameServer(folder: string, nameServer: string): string[] {
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, `nameserver ${nameServer}\noptions timeout:1\n`);
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, file];
}
