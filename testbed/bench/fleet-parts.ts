import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLab, type Namespace, type Program, until } from 'netns-test-helpers';
import { type FleetSite, foundFleet, homesNetwork, strangersNetwork } from '../fleet/fleet-site.ts';
import { cliCommand } from '../site.ts';
import type { BenchContext } from './bench.ts';
import { FleetLog } from './fleet-log.ts';
import { requireRoot } from './with-home.ts';

/** One server with many simulated homes (testbed/fleet), for the benches that ask what it makes of them. */

/** A program of testbed/fleet. */
export const fleetProgram = (name: string) => fileURLToPath(new URL(`../fleet/${name}`, import.meta.url));

/** A server's state with its homes, and the network that they run in. */
export interface Fleet {
  readonly site: FleetSite;
  readonly namespace: Namespace;
  readonly count: number;
  readonly context: BenchContext;
  readonly log: FleetLog;
}

/** Starts the server as it ships, and waits until it is ready. */
export async function startServer({ site, namespace }: Fleet): Promise<Program> {
  const server = namespace.spawn(cliCommand('server', 'run', '--state', site.serverState));
  await until(() => server.stderr.includes('"server ready"'), {
    what: 'the server to be ready',
    deadlineMs: 60_000,
    intervalMs: 10,
    explain: () => server.stderr,
  });
  return server;
}

/** Starts all homes, in two processes. */
export function startHomes({ site, namespace, count, log }: Fleet): void {
  const half = Math.ceil(count / 2);
  for (const [first, many] of [
    [0, half],
    [half, count - half],
  ] as const) {
    const words = [site.directory, String(first), String(many)];
    namespace.node(fleetProgram('homes-process.js'), words, {
      onLine: line => log.onLine(line),
      keepBytes: 4096,
    });
  }
}

/** Waits until all homes are online. @throws LabError `deadline` when they are not after three minutes */
export async function untilAllUp({ log, count }: Fleet, what: string): Promise<void> {
  await until(() => log.up === count, {
    what,
    deadlineMs: 180_000,
    intervalMs: 100,
    explain: () => `${log.up} of ${count} are there`,
  });
}

/** What a technician's process says (testbed/fleet/technician-process.ts). */
export interface Answer {
  readonly count: number;
  readonly ms: number;
  /** Of `ping` only. */
  readonly p99Ms?: number;
  readonly failures: Readonly<Record<string, number>>;
}

/** A technician's process, which does what it is told and says what came of it. */
export class Technician {
  private readonly program: Program;
  private answers = 0;

  constructor({ namespace, site }: Fleet, index: number, of: number) {
    const words = [site.terminal, String(index), String(of)];
    this.program = namespace.node(fleetProgram('technician-process.js'), words, { stdin: 'pipe' });
  }

  /** Says a word and waits for the answer. @throws LabError `deadline` after two minutes */
  async tell(word: string): Promise<Answer> {
    this.program.write(`${word}\n`);
    const lines = () => this.program.stdout.split('\n').filter(line => line.startsWith('{'));
    await until(() => lines().length > this.answers, {
      what: `an answer to ${word}`,
      deadlineMs: 120_000,
      intervalMs: 10,
      explain: () => this.program.stderr,
    });
    const answer = JSON.parse(lines()[this.answers] ?? '') as Answer;
    this.answers++;
    return answer;
  }
}

/** Makes a fleet of so many homes in a network of its own, and takes everything down after `measure`. */
export async function withFleet<T>(
  context: BenchContext,
  count: number,
  measure: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  requireRoot();
  const lab = await createLab({ name: 'bench' });
  const directory = await mkdtemp(join(tmpdir(), 'entremise-fleet-'));
  try {
    context.progress(`enrolling ${count} homes`);
    const namespace = await lab.namespace('fleet');
    await namespace.ip(
      ...[homesNetwork, strangersNetwork].map(network => `route add local ${network} dev lo`),
    );
    const site = await foundFleet(directory, count, context.progress);
    return await measure({ site, namespace, count, context, log: new FleetLog() });
  } finally {
    await lab.destroy();
    await rm(directory, { recursive: true, force: true });
  }
}
