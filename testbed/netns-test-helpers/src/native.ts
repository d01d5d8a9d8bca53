import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { threadId } from 'node:worker_threads';
import { runCommand } from './command.ts';
import { LabError } from './errors.ts';
import type { Namespace } from './namespace.ts';
import type { Program } from './process.ts';

/*
 * Two small C++ programs do what neither Node nor the usual tools can: hold packets back, and keep them as they passed.
 * They are compiled when first asked for, so that nobody needs a compiler who needs neither; what was compiled is kept
 * under the hash of its sources, beside them where that can be written.
 */

const sourceFolder = fileURLToPath(new URL('../native/', import.meta.url));
const sources = {
  impair: ['impair.cc', 'line.cc', 'fate.cc', 'packet_port.cc'],
  capture: ['capture.cc', 'packet_port.cc'],
} as const;
const flags = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Werror'];

/** A program of this package that is written in C++. */
export type NativeName = keyof typeof sources;

const compiled = new Map<NativeName, Promise<string>>();

/**
 * The path of a program, compiled if it has to be.
 *
 * @throws LabError `unsupported` where there is no compiler; `command-failed`, with what the compiler said.
 */
export function nativeProgram(name: NativeName): Promise<string> {
  let path = compiled.get(name);
  if (path === undefined) {
    path = findOrCompile(name);
    compiled.set(name, path);
  }
  return path;
}

/** Compiles what is not compiled yet. @throws LabError as {@link nativeProgram} */
export async function compileNative(): Promise<void> {
  for (const name of Object.keys(sources) as NativeName[]) await nativeProgram(name);
}

async function findOrCompile(name: NativeName): Promise<string> {
  const hash = createHash('sha256').update(arch());
  for (const file of readdirSync(sourceFolder).filter(entry => /\.(cc|h)$/.test(entry)))
    hash.update(file).update(readFileSync(join(sourceFolder, file)));
  const file = `${name}-${hash.digest('hex').slice(0, 16)}`;
  const path = join(sourceFolder, 'build', file);
  if (existsSync(path)) return path;
  return compile(name, join(writableFolder(), file));
}

/** The folder beside the sources, or for this process alone one that goes with it. */
function writableFolder(): string {
  const folder = join(sourceFolder, 'build');
  try {
    mkdirSync(folder, { recursive: true });
    rmSync(mkdtempSync(join(folder, 'try-')), { recursive: true });
    return folder;
  } catch {
    const own = mkdtempSync(join(tmpdir(), 'netns-test-helpers-'));
    process.on('exit', () => rmSync(own, { recursive: true, force: true }));
    return own;
  }
}

async function compile(name: NativeName, path: string): Promise<string> {
  const compiler = process.env.CXX ?? 'g++';
  // Renamed into place: others may compile the same at the same time, and nobody runs half a program.
  const staged = join(dirname(path), `${name}-${process.pid}-${threadId}.tmp`);
  const files = sources[name].map(file => join(sourceFolder, file));
  const words = [compiler, ...flags, '-o', staged, ...files];
  const result = await runCommand(words, { deadlineMs: 300_000 }).catch(cause => {
    const message = `impaired links and captures need a C++ compiler: apt-get install g++ (${String(cause)})`;
    throw new LabError('unsupported', message, { cause });
  });
  if (result.code !== 0) throw new LabError('command-failed', `${words.join(' ')}\n${result.stderr}`);
  renameSync(staged, path);
  return path;
}

/** A running native program: each line written to it is answered by one line of JSON. */
export class NativeProgram {
  readonly program: Program;
  readonly #waiting: ((line: string) => void)[] = [];

  private constructor(namespace: Namespace, argv: readonly string[]) {
    const onLine = (line: string, stream: string) => {
      if (stream === 'stdout') this.#waiting.shift()?.(line);
    };
    this.program = namespace.spawn(argv, { stdin: 'pipe', onLine });
  }

  /** Starts it and waits until it says that it is ready. @throws LabError `unsupported`, `command-failed` */
  static async start(
    namespace: Namespace,
    name: NativeName,
    words: readonly (string | number)[],
  ): Promise<NativeProgram> {
    const started = new NativeProgram(namespace, [await nativeProgram(name), ...words.map(String)]);
    await started.#answer();
    return started;
  }

  /** Asks one thing. @throws LabError `command-failed` when it has ended, with its last words. */
  ask(line: string): Promise<unknown> {
    const answer = this.#answer();
    if (!this.program.exit) this.program.write(`${line}\n`);
    return answer;
  }

  async #answer(): Promise<unknown> {
    const line = new Promise<string>(resolve => this.#waiting.push(resolve));
    const said = await Promise.race([line, this.program.exited.then(() => undefined)]);
    if (said === undefined)
      throw new LabError('command-failed', `${this.program} has ended: ${this.program.stderr.trim()}`);
    return JSON.parse(said);
  }
}
