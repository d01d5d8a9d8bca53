import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ipv4Setup, ipv6Setup, nftRules, resolvConf, withoutOtherServices } from './network-rules.ts';
import { requireTools, type Tool } from './tools.ts';

/** Makes new namespaces what the command shall see; called inside them, before anything else runs there. */

/** @throws Error with what the program said */
function run(tool: Tool, words: readonly string[], input = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(requireTools()(tool), words, (error, _stdout, stderr) => {
      if (error === null) return resolve();
      const said = stderr.trim() === '' ? error.message : stderr.trim();
      reject(new Error(`${tool} ${words.join(' ')}: ${said}`));
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

const lines = (list: readonly string[]) => `${list.join('\n')}\n`;

/**
 * The loopback interface and the rules, for a listener on that number.
 * @throws Error with what a program said
 */
export async function furnishNetwork(listener: number): Promise<void> {
  await run('ip', ['-batch', '-'], lines(ipv4Setup));
  // Without IPv6 on this machine the command has none either.
  await run('ip', ['-6', '-batch', '-'], lines(ipv6Setup)).catch(() => {});
  await run('nft', ['-f', '-'], nftRules(listener));
}

const resolvConfPath = '/etc/resolv.conf';
const nsswitchPath = '/etc/nsswitch.conf';
/** The cache of names of this machine, which programs ask before anything else. */
const nscdPath = '/run/nscd';
/** Every system has it; what is written is seen there for as long as it takes to put it elsewhere. */
const folder = '/tmp';

/**
 * Names by the mediator, and processes of this namespace alone in /proc. What is written lies in memory that is gone with
 * the namespace.
 * @throws Error with what a program said
 */
export async function furnishNames(): Promise<void> {
  if (!existsSync(resolvConfPath))
    throw new Error(`There is no ${resolvConfPath} to put another over; make one, be it empty.`);
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', folder]);
  await cover(resolvConfPath, resolvConf);
  if (existsSync(nsswitchPath))
    await cover(nsswitchPath, withoutOtherServices(readFileSync(nsswitchPath, 'utf8')));
  await run('umount', [folder]);
  if (existsSync(nscdPath)) await run('mount', ['-t', 'tmpfs', 'tmpfs', nscdPath]);
  // Where it is refused, as in some containers, processes are shown by the numbers that they have outside.
  await run('mount', ['-t', 'proc', 'proc', '/proc']).catch(() => {});
}

async function cover(path: string, text: string): Promise<void> {
  const file = join(folder, path.replaceAll('/', '-'));
  writeFileSync(file, text, { mode: 0o644 });
  await run('mount', ['--bind', file, path]);
}
