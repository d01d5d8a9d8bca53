import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CommandResult, type Namespace, type Program, until } from 'netns-test-helpers';
import type { Teardown } from './verbs.ts';

/** Hosts on which nothing of Entremise was ever installed, so that a page's commands can be run there as they stand. */

/** The checkout, built. */
const checkout = fileURLToPath(new URL('../../../../', import.meta.url));

/** What an installation writes to. The real ones lie below, and are not written to. */
const written = ['/etc', '/var', '/usr/local', '/opt', '/root', '/srv'];

/** Mounts of its own: over each of the above what was written since, in memory; then its process stays, to be entered. */
const blank = `set -e
layers=$(mktemp -d) && mount -t tmpfs layers "$layers"
for path in ${written.join(' ')}; do
  mkdir -p "$layers$path/upper" "$layers$path/work"
  mount -t overlay overlay -o "lowerdir=$path,upperdir=$layers$path/upper,workdir=$layers$path/work" "$path"
done
mount -t tmpfs run /run/user 2>/dev/null || true
echo "blank $$"
exec sleep infinity`;

/** A host that has its own files since it was made, and loses them with the test. */
export class BlankHost {
  private readonly where: Namespace;
  private readonly pid: string;
  private readonly env: Readonly<Record<string, string>>;

  private constructor(where: Namespace, pid: string, env: Readonly<Record<string, string>>) {
    this.where = where;
    this.pid = pid;
    this.env = { HOME: '/root', XDG_CONFIG_HOME: '', ...env };
  }

  /** Makes a namespace blank, for whoever comes by this. */
  static async make(
    t: Teardown,
    where: Namespace,
    env: Readonly<Record<string, string>>,
  ): Promise<BlankHost> {
    const holder = where.spawn(['unshare', '--mount', 'bash', '-c', blank]);
    t.teardown(() => holder.stop('SIGKILL'));
    const [, pid = ''] = await holder.untilOutput(/blank (\d+)/);
    return new BlankHost(where, pid, env);
  }

  private inside(script: string): string[] {
    return ['nsenter', '--target', this.pid, '--mount', 'bash', '-euo', 'pipefail', '-c', script];
  }

  /** Brings files of the checkout, the whole of it where none is named. */
  async bring(to: string, ...files: readonly string[]): Promise<void> {
    const sources = files.map(file => join(checkout, file));
    const script =
      files.length === 0
        ? `mkdir -p ${to} && mount --bind ${checkout} ${to}`
        : `mkdir -p ${to} && cp ${sources.join(' ')} ${to}`;
    const { code, stderr } = await this.run(script);
    if (code !== 0) throw new Error(stderr);
  }

  /** Runs a script to its end. */
  run(script: string): Promise<CommandResult> {
    return this.where.exec(this.inside(script), { env: this.env, deadlineMs: 60_000 });
  }

  /** Starts a script that is typed at: it is given a line when it asks for one. Ends with the test. */
  start(t: Teardown, script: string, line?: string): Program {
    const program = this.where.spawn(this.inside(script), { env: this.env, stdin: 'pipe' });
    t.teardown(() => program.stop('SIGKILL'));
    if (line !== undefined) program.write(`${line}\n`);
    program.endInput();
    return program;
  }
}

/** Waits until a script has ended well. */
export async function untilEnded(program: Program): Promise<void> {
  await until(() => program.exit, { what: `${program} to end`, deadlineMs: 60_000 });
  if (program.exit?.code !== 0) throw new Error(`${program}: ${program.stdout}\n${program.stderr}`);
}

/** The blocks of a page that are to be run on a machine, like those marked `sh gateway`, in their order. */
export function blocksByHost(path: string, hosts: readonly string[]): { host: string; body: string }[] {
  const pattern = new RegExp(`^\`\`\`sh (${hosts.join('|')})\\n([\\s\\S]*?)^\`\`\`$`, 'gm');
  const found = readFileSync(path, 'utf8').matchAll(pattern);
  return [...found].map(([, host = '', body = '']) => ({ host, body }));
}
