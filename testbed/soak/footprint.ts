import { readdirSync } from 'node:fs';
import { residentMb } from '../bench/resident.ts';

/** What a process holds. */
export interface Footprint {
  readonly residentMb: number;
  readonly descriptors: number;
}

/** @throws EntremiseError `internal` when there is no such process any more */
export function footprintOf(pid: number): Footprint {
  return { residentMb: residentMb(pid), descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/** Above this it has grown: a tenth, and what a heap may take more by chance. */
const growthRatio = 1.1;
const chanceMb = 12;

/** A few descriptors come and go with links that are being made. */
const chanceDescriptors = 3;

/** What a process has kept that it did not hold under the same load before; none is good. */
export function leaksOf(name: string, before: Footprint, after: Footprint): string[] {
  const mostMb = before.residentMb * growthRatio + chanceMb;
  const mb = (value: number) => value.toFixed(1);
  return [
    ...(after.residentMb > mostMb
      ? [`${name}: ${mb(after.residentMb)} MB resident, ${mb(before.residentMb)} before`]
      : []),
    ...(after.descriptors > before.descriptors + chanceDescriptors
      ? [`${name}: ${after.descriptors} descriptors, ${before.descriptors} before`]
      : []),
  ];
}
