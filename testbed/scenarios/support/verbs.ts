import { type Namespace, type Program, type SpawnOptions, until } from 'netns-test-helpers';
import { mediatorName } from '../../site.ts';
import type { Stage } from './stage.ts';

/** Verbs of the terminal's CLI as tests use them, and what they print with `--json`. */

/** Where what has to be undone is noted: a test of ava, or whatever else ends. */
export interface Teardown {
  teardown(undo: () => unknown): void;
}

/** Something that a verb printed. */
export type Json = Readonly<Record<string, unknown>>;

/** The whole lines of a text that are JSON objects. Of a long output the beginning is forgotten, in the middle of a line. */
export function jsonLines(text: string): Json[] {
  return text
    .split('\n')
    .filter(line => line.startsWith('{') && line.endsWith('}'))
    .map(parsed)
    .filter(line => line !== undefined);
}

function parsed(line: string): Json | undefined {
  try {
    return JSON.parse(line) as Json;
  } catch {
    return undefined;
  }
}

/** Starts a verb at the terminal; it is ended with the test. */
export function startVerb(
  t: Teardown,
  { site }: Stage,
  words: readonly string[],
  options: SpawnOptions = {},
): Program {
  const program = site.startTerminal([...words, '--json'], options);
  t.teardown(() => program.stop('SIGKILL'));
  return program;
}

/**
 * Has a program say on stderr what it is preloaded to say upon SIGWINCH (testbed/programs), and gives that line. `counter`: the
 * field of it that counts how often it was asked.
 */
export function saidUponWinch(program: Program, counter: string, what: string): Promise<Json> {
  const last = () => jsonLines(program.stderr).findLast(line => counter in line);
  const before = Number(last()?.[counter] ?? 0);
  program.kill('SIGWINCH');
  return until(() => [last()].find(line => Number(line?.[counter] ?? 0) > before), { what });
}

/** Waits until a program has printed a JSON line of which `matches` is true, on stdout or stderr. */
export function untilJson(
  program: Program,
  what: string,
  matches: (line: Json) => boolean,
  deadlineMs = 15_000,
): Promise<Json> {
  return until(() => jsonLines(`${program.stdout}\n${program.stderr}`).find(matches), {
    what: `${program} to print ${what}`,
    deadlineMs,
    explain: () => `stdout: ${program.stdout.slice(-2000)}\nstderr: ${program.stderr.slice(-2000)}`,
  });
}

/** A forward that listens. */
export interface RunningForward {
  readonly program: Program;
  /** Local numbers, in the order of the specs. */
  readonly ports: readonly number[];
}

/**
 * Starts `entremise forward` for targets like `192.168.1.10:80` or `192.168.1.10:7/udp`, each on a local number that is
 * free, and waits until all listen.
 */
export async function startForward(
  t: Teardown,
  stage: Stage,
  ...targets: readonly string[]
): Promise<RunningForward> {
  const program = startVerb(t, stage, ['forward', mediatorName, ...targets.map(target => `0:${target}`)]);
  return { program, ports: await untilForwards(program, targets.length) };
}

/** Waits until a forward has said of all its targets where it listens; gives the local numbers. */
export async function untilForwards(program: Program, count: number): Promise<number[]> {
  const lines = () => jsonLines(program.stdout).filter(line => 'forward' in line);
  await untilJson(program, `${count} forwards`, () => lines().length >= count);
  return lines().map(({ listen }) => (listen as { port: number }).port);
}

/** Starts `entremise expose` and waits until devices can reach it. */
export async function startExpose(
  t: Teardown,
  stage: Stage,
  lanPort: string,
  target: string,
): Promise<Program> {
  const program = startVerb(t, stage, ['expose', mediatorName, lanPort, target]);
  await untilJson(program, 'that it listens', line => 'expose' in line);
  return program;
}

/** What the real curl gives. */
export interface Fetched {
  readonly code: number | null;
  readonly body: string;
  readonly stderr: string;
}

/** Runs the real curl in a namespace. */
export async function curl(where: Namespace, ...words: readonly string[]): Promise<Fetched> {
  const { code, stdout, stderr } = await where.exec(['curl', '-sS', '--max-time', '30', ...words]);
  return { code, body: stdout, stderr };
}

/** The failure that a verb has told with `--json`, if it has told one. */
export function failureOf(text: string): { readonly code: string; readonly message: string } | undefined {
  const found = jsonLines(text).find(line => 'error' in line);
  return found?.error as { readonly code: string; readonly message: string } | undefined;
}
