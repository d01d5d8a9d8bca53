import { readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Program } from 'netns-test-helpers';
import { ownMb } from '../bench/resident.ts';
import { programPath } from '../scenarios/support/peers.ts';
import { saidUponWinch } from '../scenarios/support/verbs.ts';

/** What a process holds once it has collected its garbage. */
export interface Footprint {
  /** Of V8's heap, in MB (10^6 bytes). */
  readonly heapMb: number;
  /** Of what JavaScript refers to beside that: buffers. */
  readonly externalMb: number;
  /** All of its own that is resident: pages of the program come and go as they are used. */
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
  const said = await saidUponWinch(program, 'collected', `${program} to collect its garbage`);
  return {
    heapMb: Number(said.heapMb),
    externalMb: Number(said.externalMb),
    residentMb: ownMb(program.pid),
    descriptors: descriptorsOf(program.pid),
  };
}

/**
 * Above these it has grown: a tenth, and what may be there by chance. Code that is compiled when it is first needed; slabs that
 * are kept for reuse, 4 MB at the most; of resident pages those that are not given back.
 */
const growthRatio = 1.1;
const chanceMb = { heapMb: 4, externalMb: 6, residentMb: 20 } as const;

/** A few descriptors come and go with links that are being made. */
const chanceDescriptors = 3;

/** What a process has kept that it did not hold under the same load before; none is good. */
export function leaksOf(name: string, before: Footprint, after: Footprint): string[] {
  const grown = (what: 'heapMb' | 'externalMb' | 'residentMb', words: string) => {
    const most = before[what] * growthRatio + chanceMb[what];
    if (after[what] <= most) return [];
    return [`${name}: ${after[what].toFixed(1)} MB ${words}, ${before[what].toFixed(1)} before`];
  };
  return [
    ...grown('heapMb', 'of heap'),
    ...grown('externalMb', 'of buffers'),
    ...grown('residentMb', 'resident'),
    ...(after.descriptors > before.descriptors + chanceDescriptors
      ? [`${name}: ${after.descriptors} descriptors, ${before.descriptors} before`]
      : []),
  ];
}

/** In words. */
export function footprintText({ heapMb, externalMb, residentMb, descriptors }: Footprint): string {
  const [heap, buffers, resident] = [heapMb, externalMb, residentMb].map(mb => mb.toFixed(1));
  return `${heap} MB of heap, ${buffers} of buffers, ${resident} resident, ${descriptors} descriptors`;
}
