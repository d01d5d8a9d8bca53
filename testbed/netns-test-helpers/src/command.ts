import { type ChildProcess, spawn } from 'node:child_process';
import { LabError } from './errors.ts';
import { TailBuffer } from './tail.ts';

/** How a short command ended and what it wrote. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How to run a short command. */
export interface CommandOptions {
  /** Written to its stdin, which is then closed; without it stdin is /dev/null. */
  readonly input?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Killed, with its process group, after this; 30,000 when left out. */
  readonly deadlineMs?: number;
  /** The last bytes kept of stdout and of stderr each; 1 MiB when left out. */
  readonly keepBytes?: number;
}

/**
 * This process's environment with `extra`. The PATH gets the folders of `nft` and `tc`, which a user's may
 * lack, and npm's own folders go to its end: a package that ava needs brings a program called `nft`, which
 * takes any arguments, does nothing and exits with 0.
 */
export function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const folders = (process.env.PATH ?? '/usr/bin:/bin').split(':');
  const ofNpm = folders.filter(isNpmFolder);
  const ofSystem = folders.filter(folder => !isNpmFolder(folder));
  const missing = ['/usr/sbin', '/sbin'].filter(folder => !folders.includes(folder));
  return { ...process.env, PATH: [...ofSystem, ...missing, ...ofNpm].join(':'), ...extra };
}

/** True for the folders that npm puts in front of the PATH. */
export function isNpmFolder(folder: string): boolean {
  return folder.includes('node_modules');
}

/** The words of a command as one would type them. */
export function commandLine(argv: readonly string[]): string {
  return argv
    .map(word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}

/** Kills a whole process group; a group that is gone is no error. */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Runs a command to its end and gives what it wrote, whatever its exit code. It leads a process group of
 * its own, so that its children go with it when the deadline passes. `shown` stands for it in errors.
 *
 * @throws LabError `command-failed` when it cannot be started, `deadline` when it had to be killed.
 */
export function runCommand(
  argv: readonly string[],
  options: CommandOptions = {},
  shown = commandLine(argv),
): Promise<CommandResult> {
  const { deadlineMs = 30_000, keepBytes = 1 << 20, input } = options;
  const child = start(argv, options);
  const stdout = new TailBuffer(keepBytes);
  const stderr = new TailBuffer(keepBytes);
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that ends without reading its input is its own affair: the exit code tells.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return new Promise((resolve, reject) => {
    let overdue = false;
    const timer = setTimeout(() => {
      overdue = true;
      if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL');
    }, deadlineMs);
    child.once('error', cause => {
      clearTimeout(timer);
      reject(new LabError('command-failed', `cannot start ${shown}: ${cause.message}`, { cause }));
    });
    onceEnded(child, (code, signal) => {
      clearTimeout(timer);
      if (overdue) reject(new LabError('deadline', `killed after ${deadlineMs} ms: ${shown}`));
      else resolve({ stdout: stdout.text(), stderr: stderr.text(), code, signal });
    });
  });
}

function start(argv: readonly string[], options: CommandOptions): ChildProcess {
  const [file, ...args] = argv;
  if (file === undefined) throw new LabError('bad-input', 'a command needs at least one word');
  return spawn(file, args, {
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: environment(options.env),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
}

/**
 * Waits for 'close' (all output read), but no more than a second longer than 'exit': a daemon that the
 * command left behind may hold the pipes open for ever.
 */
function onceEnded(
  child: ChildProcess,
  ended: (code: number | null, signal: NodeJS.Signals | null) => void,
): void {
  let grace: NodeJS.Timeout | undefined;
  child.once('exit', (code, signal) => {
    const giveUp = () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      ended(code, signal);
    };
    // Timers come before reads: after a second in which this process stood still there is something to read yet.
    grace = setTimeout(() => setImmediate(() => setImmediate(giveUp)), 1_000);
  });
  child.once('close', (code, signal) => {
    clearTimeout(grace);
    ended(code, signal);
  });
}

/** The error of a command that ended badly; `line` is what the reader should see as the command. */
export function commandFailed(line: string, where: string, result: CommandResult): LabError {
  const end = result.code === null ? `signal ${result.signal}` : `exit code ${result.code}`;
  const said = result.stderr.trim() || result.stdout.trim() || '(it said nothing)';
  return new LabError('command-failed', `[${where}] ${line}: ${end}\n${said}`);
}
