import { readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type Program, until } from 'netns-test-helpers';
import { residentMb } from '../bench/resident.ts';
import { programPath } from '../scenarios/support/peers.ts';
import { jsonLines } from '../scenarios/support/verbs.ts';

/** What a process holds once it has collected its garbage. */
export interface Footprint {
  /** Of V8's heap and of what JavaScript refers to beside it, in MB (10^6 bytes). */
  readonly heldMb: number;
  /** All that is resident, the program itself included. */
  readonly residentMb: number;
  readonly descriptors: number;
}

/**
 * Environment of a Node program whose {@link footprintOf} is to be known. A young generation as large as Node's own, and
 * glibc's heap for each thread, keep pages resident that hold nothing, and would hide what is kept.
 */
export const collectable = {
  NODE_OPTIONS: `--max-semi-space-size=1 --import=${pathToFileURL(programPath('collect.mjs')).href}`,
  MALLOC_ARENA_MAX: '1',
} as const;

/** Descriptors that a process has open. @throws Error when there is no such process any more */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/**
 * Lets a program that runs with {@link collectable} collect its garbage, and gives what it then holds.
 * @throws LabError `deadline` when it says nothing, EntremiseError `internal` when there is no such process any more
 */
export async function footprintOf(program: Program): Promise<Footprint> {
  const last = () => jsonLines(program.stderr).findLast(line => 'collected' in line);
  const before = Number(last()?.collected ?? 0);
  program.kill('SIGWINCH');
  const said = await until(() => [last()].find(line => Number(line?.collected ?? 0) > before), {
    what: `${program} to collect its garbage`,
  });
  const { pid } = program;
  return { heldMb: Number(said.heldMb), residentMb: residentMb(pid), descriptors: descriptorsOf(pid) };
}

/** Above these it has grown: a tenth, and what caches may take more by chance; of resident pages many are not given back. */
const growthRatio = 1.1;
const chanceMb = { heldMb: 3, residentMb: 16 } as const;

/** A few descriptors come and go with links that are being made. */
const chanceDescriptors = 3;

/** What a process has kept that it did not hold under the same load before; none is good. */
export function leaksOf(name: string, before: Footprint, after: Footprint): string[] {
  const grown = (what: 'heldMb' | 'residentMb', words: string) => {
    const most = before[what] * growthRatio + chanceMb[what];
    if (after[what] <= most) return [];
    return [`${name}: ${after[what].toFixed(1)} MB ${words}, ${before[what].toFixed(1)} before`];
  };
  return [
    ...grown('heldMb', 'held'),
    ...grown('residentMb', 'resident'),
    ...(after.descriptors > before.descriptors + chanceDescriptors
      ? [`${name}: ${after.descriptors} descriptors, ${before.descriptors} before`]
      : []),
  ];
}

/** In words. */
export function footprintText({ heldMb, residentMb, descriptors }: Footprint): string {
  return `${heldMb.toFixed(1)} MB held, ${residentMb.toFixed(1)} resident, ${descriptors} descriptors`;
}
