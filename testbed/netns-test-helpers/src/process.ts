import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { commandLine, environment, killGroup } from './command.ts';
import { LabError } from './errors.ts';
import { type ProcessIdentity, processIdentity } from './registry.ts';
import { TailBuffer } from './tail.ts';
import { until } from './wait.ts';

/** How to start a program. */
export interface SpawnOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** `pipe`: write() and endInput() feed it; `none` (default): /dev/null. */
  readonly stdin?: 'none' | 'pipe';
  /**
   * Both outputs go to the end of this file and not through this process. Needed by a program that shall
   * live on in a detached lab; `onLine` is not called then.
   */
  readonly outputFile?: string;
  /** The last bytes kept of stdout and of stderr each; 256 KiB when left out. */
  readonly keepBytes?: number;
  /** Called with each line as it comes. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

/** How a program ended: one of the two is null. */
export interface ProgramExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program running inside a namespace. Made by `Namespace.spawn`. */
export class Program {
  /** The words it was started with. */
  readonly argv: readonly string[];
  /** The name of its namespace in the lab. */
  readonly where: string;
  /** Its pid, which is also its process group. */
  readonly pid: number;
  /** Its pid and start time. */
  readonly identity: ProcessIdentity;
  /** The file that takes its output, if one was given. */
  readonly outputFile: string | undefined;
  /** Resolves when it has ended and its output is read; never rejects. */
  readonly exited: Promise<ProgramExit>;
  readonly #child: ChildProcess;
  readonly #stdout: TailBuffer;
  readonly #stderr: TailBuffer;
  #exit: ProgramExit | undefined;

  /**
   * @param argv what the reader of a log should see
   * @param fullArgv the same behind whatever enters the namespace
   * @throws LabError `command-failed` when it cannot be started
   */
  constructor(where: string, argv: readonly string[], fullArgv: readonly string[], options: SpawnOptions) {
    this.argv = argv;
    this.where = where;
    this.outputFile = options.outputFile;
    this.#stdout = new TailBuffer(options.keepBytes ?? 256 * 1024);
    this.#stderr = new TailBuffer(options.keepBytes ?? 256 * 1024);
    this.#child = startChild(where, fullArgv, options);
    this.exited = this.#whenExited();
    collect(this.#child, 'stdout', this.#stdout, options.onLine);
    collect(this.#child, 'stderr', this.#stderr, options.onLine);
    this.#child.stdin?.on('error', () => {});
    const { pid } = this.#child;
    if (pid === undefined)
      throw new LabError('command-failed', `[${where}] cannot start ${commandLine(argv)}`);
    this.pid = pid;
    this.identity = processIdentity(pid) ?? { pid, startTicks: -1 };
  }

  /** How it ended; undefined while it runs. */
  get exit(): ProgramExit | undefined {
    return this.#exit;
  }

  /** The last part of its stdout; with an output file, the last part of that. */
  get stdout(): string {
    return this.outputFile === undefined ? this.#stdout.text() : readTail(this.outputFile, 256 * 1024);
  }

  /** The last part of its stderr; empty with an output file, which holds both. */
  get stderr(): string {
    return this.#stderr.text();
  }

  /** Bytes of output that were read and forgotten. */
  get droppedBytes(): number {
    return this.#stdout.droppedBytes() + this.#stderr.droppedBytes();
  }

  /** Writes to its stdin. @throws LabError `bad-input` when it was not started with `stdin: 'pipe'`. */
  write(text: string): void {
    if (!this.#child.stdin) throw new LabError('bad-input', `${this} was started without stdin: 'pipe'`);
    this.#child.stdin.write(text);
  }

  /** Closes its stdin. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Signals its process group; a program that has ended is no error. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (!this.#exit) killGroup(this.pid, signal);
  }

  /** Asks its group to end, kills it after `deadlineMs` (2,000), and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', deadlineMs = 2_000): Promise<ProgramExit> {
    this.kill(signal);
    const timer = setTimeout(() => this.kill('SIGKILL'), deadlineMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /**
   * Waits until its stdout matches, and gives the match.
   *
   * @throws LabError `deadline`, or `command-failed` when it ends first, both with the end of its output.
   */
  async untilOutput(pattern: RegExp, deadlineMs = 10_000): Promise<RegExpExecArray> {
    const seen = await until<RegExpExecArray | 'ended'>(
      () => {
        // Asked first: what was written before the end counts.
        const ended = this.#exit;
        return pattern.exec(this.stdout) ?? (ended && 'ended');
      },
      { what: `${this} to write ${pattern}`, deadlineMs, intervalMs: 10, explain: () => this.#lastWords() },
    );
    if (seen !== 'ended') return seen;
    const how = `exit code ${this.#exit?.code}, signal ${this.#exit?.signal}`;
    throw new LabError(
      'command-failed',
      `${this} ended (${how}) before writing ${pattern}\n${this.#lastWords()}`,
    );
  }

  /** This process may end before the program does. */
  unref(): void {
    this.#child.unref();
  }

  toString(): string {
    return `[${this.where}] ${commandLine(this.argv)}`;
  }

  #lastWords(): string {
    return `stdout: ${this.stdout.slice(-2_000)}\nstderr: ${this.stderr.slice(-2_000)}`;
  }

  #whenExited(): Promise<ProgramExit> {
    return new Promise(resolve => {
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#exit ??= { code, signal };
        resolve(this.#exit);
      };
      // A daemon's parent leaves its pipes open in the child: do not wait for them for ever. What they hold when the time is
      // over is read all the same: a busy machine may come to the timer before it has come to them.
      this.#child.once('exit', (code, signal) =>
        setTimeout(() => setImmediate(ended, code, signal), 500).unref(),
      );
      this.#child.once('close', ended);
      this.#child.once('error', () => ended(127, null));
    });
  }
}

function startChild(where: string, fullArgv: readonly string[], options: SpawnOptions): ChildProcess {
  const [file = '', ...args] = fullArgv;
  const output = options.outputFile === undefined ? undefined : openOutput(options.outputFile, where);
  try {
    return spawn(file, args, {
      // A group and session of its own: Ctrl-C at the terminal is for the owner, who then cleans up.
      detached: true,
      stdio: [options.stdin === 'pipe' ? 'pipe' : 'ignore', output ?? 'pipe', output ?? 'pipe'],
      env: environment(options.env),
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    });
  } finally {
    if (output !== undefined) closeSync(output);
  }
}

function openOutput(path: string, where: string): number {
  try {
    return openSync(path, 'a');
  } catch (cause) {
    throw new LabError('command-failed', `[${where}] cannot open ${path} for output: ${String(cause)}`, {
      cause,
    });
  }
}

function collect(
  child: ChildProcess,
  name: 'stdout' | 'stderr',
  buffer: TailBuffer,
  onLine: SpawnOptions['onLine'],
): void {
  const stream = child[name];
  if (!stream) return;
  stream.on('data', (chunk: Buffer) => buffer.push(chunk));
  if (onLine) createInterface({ input: stream }).on('line', line => onLine(line, name));
}

function readTail(path: string, bytes: number): string {
  return readFileSync(path).subarray(-bytes).toString('utf8');
}
