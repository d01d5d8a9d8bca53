import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { environment, isNpmFolder } from './command.ts';
import { LabError } from './errors.ts';

/*
 * An ordinary user may have labs too, inside a user namespace: there the kernel lets one be root over
 * namespaces of one's own. A running program cannot move there, so it starts itself again. With the user
 * namespace come a network of its own, a private /run (so `ip netns` can write its names) and a pid
 * namespace, whose first process is a shell: when that ends, the kernel kills all the rest, so that not
 * even `kill -9` leaves anything behind.
 */

/** What labSupport says. */
export type LabSupport =
  | {
      readonly ok: true;
      /** With the machine's root, or with root of a user namespace. */
      readonly how: 'root' | 'userns';
      /** True when labs can be made in this very process; otherwise reexecInUserNamespace() first. */
      readonly ready: boolean;
    }
  | { readonly ok: false /** What is missing and what to do, for people. */; readonly reason: string };

/** A program that labs need and that is not installed. */
export interface MissingTool {
  readonly tool: string;
  /** The Debian package that holds it. */
  readonly package: string;
}

const tools: readonly MissingTool[] = [
  { tool: 'ip', package: 'iproute2' },
  { tool: 'tc', package: 'iproute2' },
  { tool: 'ss', package: 'iproute2' },
  { tool: 'nft', package: 'nftables' },
  { tool: 'conntrack', package: 'conntrack' },
  { tool: 'nsenter', package: 'util-linux' },
  { tool: 'unshare', package: 'util-linux' },
  { tool: 'setpriv', package: 'util-linux' },
  { tool: 'mount', package: 'mount' },
];

/** The programs that labs need and that are not in the folders of `path`, with their Debian packages. */
export function missingTools(path = environment().PATH ?? ''): MissingTool[] {
  const folders = path.split(':').filter(folder => !isNpmFolder(folder));
  return tools.filter(({ tool }) => !folders.some(folder => isExecutable(join(folder, tool))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Builds one of everything, and says in which step the kernel refused. */
const probe = `
PATH="$PATH:/usr/sbin:/sbin"
step() { what=$1; shift; said=$("$@" 2>&1) || { echo "$what: $said"; exit 1; }; }
step "lo" ip link set dev lo up
step "veth" ip link add name v0 type veth peer name v1
step "bridge" ip link add name v2 type bridge
step "tbf" tc qdisc add dev v0 root tbf rate 1mbit burst 10000 latency 50ms
step "nftables" nft add table inet t
step "nft nat chain" nft 'add chain inet t p { type nat hook postrouting priority srcnat; }'
step "nft masquerade" nft add rule inet t p masquerade fully-random
step "nft filter chain" nft 'add chain inet t f { type filter hook forward priority filter; }'
step "nft ct" nft add rule inet t f ct state established accept
step "nft reject" nft add rule inet t f meta l4proto tcp reject with tcp reset
step "conntrack" conntrack -L
step "network namespace names" sh -c 'mkdir -p /run/netns-test-helpers'
`;

/** Whether labs work on this machine for this user, tried out on a namespace that is gone at once (about 0.1 s). */
export function labSupport(): LabSupport {
  if (process.platform !== 'linux')
    return { ok: false, reason: `labs need Linux, this is ${process.platform}` };
  const missing = missingTools();
  if (missing.length > 0) return { ok: false, reason: missingToolsReason(missing) };
  const isRoot = process.geteuid?.() === 0;
  const inside = ['sh', '-c', probe];
  const [file = '', ...args] = isRoot ? ['unshare', '--net', ...inside] : userNamespaceCommand(inside);
  const tried = spawnSync(file, args, { encoding: 'utf8', env: environment(), timeout: 30_000 });
  if (tried.status === 0)
    return { ok: true, how: isRoot && !inUserNamespace() ? 'root' : 'userns', ready: isRoot };
  const said = `${tried.stdout}${tried.stderr}`.trim() || String(tried.error ?? `exit code ${tried.status}`);
  const who = isRoot
    ? 'root here may not'
    : 'no user namespace for an ordinary user; run as root, or allow it';
  return { ok: false, reason: `${who}: ${said}` };
}

function missingToolsReason(missing: readonly MissingTool[]): string {
  const packages = [...new Set(missing.map(({ package: name }) => name))].join(' ');
  return `not installed: ${missing.map(({ tool }) => tool).join(', ')}; apt-get install ${packages}`;
}

/** True when this process's root is not the machine's root. */
export function inUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
}

/**
 * The command that runs `argv` as root of a user namespace with a network, a /run and pids of its own, lo
 * up. Its exit code is that of `argv`. Killing it, or its parent, in whatever way ends all that runs inside.
 */
export function userNamespaceCommand(argv: readonly string[]): string[] {
  const unshare = [
    'unshare',
    '--user',
    '--map-root-user',
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
  ];
  // Not exec: the shell stays as the first process, which reaps, and whose end is the end of all others.
  const script =
    'PATH="$PATH:/usr/sbin:/sbin"; mount -t tmpfs tmpfs /run && ip link set dev lo up && "$@"; exit $?';
  return [
    'setpriv',
    '--pdeathsig',
    'KILL',
    '--',
    ...unshare,
    '--mount-proc',
    'sh',
    '-c',
    script,
    'sh',
    ...argv,
  ];
}

/**
 * Call it first in a program that makes labs. Where labs can be made it returns at once; for an ordinary
 * user it runs this program again, same arguments, inside a user namespace, and exits with its exit code.
 *
 * @throws LabError `unsupported` with the reason where neither works.
 */
export async function reexecInUserNamespace(): Promise<void> {
  const support = labSupport();
  if (!support.ok) throw new LabError('unsupported', support.reason);
  if (support.ready) return;
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const [file = '', ...args] = userNamespaceCommand(self);
  const child = spawn(file, args, { stdio: 'inherit', env: environment() });
  // A terminal's Ctrl-C reaches the inner program by itself: give it time to clean up and speak.
  process.on('SIGINT', () => setTimeout(() => child.kill('SIGKILL'), 3_000).unref());
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', cause => reject(new LabError('unsupported', `cannot start ${file}`, { cause })));
    child.once('exit', exitCode => resolve(exitCode ?? 1));
  });
  process.exit(code);
}
