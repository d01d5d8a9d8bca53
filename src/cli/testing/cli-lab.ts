import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../main.js', import.meta.url));

/** What a verb came to. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Each line of stdout, parsed; throws when one is no JSON. */
  readonly values: unknown[];
  /** The error on stderr, parsed; throws when there is none or it is no JSON. */
  readonly error: { readonly code: string; readonly message: string; readonly by?: string };
}

/** What a verb is called with besides its words. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

function parsed(line: string): unknown {
  return JSON.parse(line) as unknown;
}

function resultOf(code: number | null, stdout: string, stderr: string): CliResult {
  const lines = (text: string) => text.split('\n').filter(line => line !== '');
  return {
    code,
    stdout,
    stderr,
    get values() {
      return lines(stdout).map(parsed);
    },
    get error() {
      return (parsed(lines(stderr).at(-1) ?? '') as { error: CliResult['error'] }).error;
    },
  };
}

/** A verb that goes on. */
export class RunningCli {
  readonly child: ChildProcess;
  /** Lines of stdout and of stderr so far. */
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  private readonly exited: Promise<unknown>;

  constructor(words: readonly string[], env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, [program, ...words], { env, stdio: 'pipe' });
    this.exited = once(this.child, 'close');
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    createInterface({ input: stdout }).on('line', line => this.lines.push(line));
    createInterface({ input: stderr }).on('line', line => this.errors.push(line));
  }

  /** True once the process has ended. */
  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits until a line of stdout or stderr is as `find` wants it; gives what that gives. */
  async line<T>(find: (line: string) => T | undefined): Promise<T> {
    for (const endMs = Date.now() + 30_000; Date.now() < endMs; ) {
      for (const line of [...this.lines, ...this.errors]) {
        const found = find(line);
        if (found !== undefined) return found;
      }
      if (this.ended) break;
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    throw new Error(`It never said so:\n${[...this.lines, ...this.errors].join('\n')}`);
  }

  /** Ends it by a signal, or waits for its own end; gives its exit code. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal !== undefined && !this.ended) this.child.kill(signal);
    await this.exited;
    return this.child.exitCode;
  }

  /** Everything it said, as a result. */
  get result(): CliResult {
    return resultOf(this.child.exitCode, this.lines.join('\n'), this.errors.join('\n'));
  }
}

/** Directories for an operator, a server, mediators and terminals, and the CLI as a program of its own; gone after the test. */
export class CliLab {
  readonly directory = mkdtempSync(join(tmpdir(), 'entremise-cli-'));
  readonly authority = join(this.directory, 'authority');
  readonly server = join(this.directory, 'server');
  private readonly running: RunningCli[] = [];

  constructor(t: { teardown(run: () => Promise<void>): void }) {
    t.teardown(() => this.close());
  }

  private async close(): Promise<void> {
    await Promise.all(this.running.map(each => each.end('SIGKILL')));
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Profiles, authority and server of this lab; nothing of the user's own. */
  private envWith(env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      HOME: this.directory,
      XDG_CONFIG_HOME: join(this.directory, 'config'),
      ENTREMISE_AUTHORITY: this.authority,
      ...env,
    };
  }

  /** Runs a verb to its end. */
  async run(words: readonly string[], { env, input = '' }: CliOptions = {}): Promise<CliResult> {
    const child = spawn(process.execPath, [program, ...words], { env: this.envWith(env), stdio: 'pipe' });
    const heard = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', text => {
      heard.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', text => {
      heard.stderr += text;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    await once(child, 'close');
    return resultOf(child.exitCode, heard.stdout, heard.stderr);
  }

  /** Runs a verb with --json that must succeed; gives its one value. */
  async json<T = Record<string, unknown>>(words: readonly string[], options: CliOptions = {}): Promise<T> {
    const result = await this.run([...words, '--json'], options);
    if (result.code !== 0) throw new Error(`${words.join(' ')}: ${result.code} ${result.stderr}`);
    const [value] = result.values;
    return value as T;
  }

  /** Starts a verb that goes on. */
  start(words: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli {
    const started = new RunningCli(words, this.envWith(env));
    this.running.push(started);
    return started;
  }
}
