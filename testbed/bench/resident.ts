import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { EntremiseError } from '../../src/base/errors.ts';

/**
 * Resident memory of a process in MB (10^6 bytes), its mapped files included, as `ps` and `top` count it.
 * @throws EntremiseError `internal` when there is no such process any more
 */
export function residentMb(pid: number): number {
  return residentMbIn(readStatus(pid));
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (cause) {
    throw new EntremiseError('internal', { message: `Process ${pid} ended while it was measured.`, cause });
  }
}

/** The part of it that is the process's own, without pages of its program and other files. @throws as {@link residentMb} */
export function ownMb(pid: number): number {
  return sizeMbIn(readStatus(pid), 'RssAnon');
}

/** The same from the text of /proc/<pid>/status, which counts in KiB. @throws EntremiseError `internal` when it says nothing of it */
export function residentMbIn(status: string): number {
  return sizeMbIn(status, 'VmRSS');
}

/** The most that was resident since the process began, in MB. @throws as {@link residentMb} */
export function peakMb(pid: number): number {
  return sizeMbIn(readStatus(pid), 'VmHWM');
}

function sizeMbIn(status: string, field: string): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  if (kib === undefined) throw new EntremiseError('internal', { message: 'The process has no memory left.' });
  return (Number(kib) * 1024) / 1e6;
}

/** How long what came before may take to be given back. */
const settleSeconds = 4;

/** The most that was resident within `seconds`, some seconds from now, looked at ten times a second. @throws as {@link residentMb} */
export async function highestResidentMb(pid: number, seconds: number): Promise<number> {
  await delay(settleSeconds * 1000);
  let highest = residentMb(pid);
  for (let looks = 0; looks < seconds * 10; looks++) {
    await delay(100);
    highest = Math.max(highest, residentMb(pid));
  }
  return highest;
}

/** The most that was resident while something was going on. @throws as {@link residentMb}, and what `going` throws */
export async function highestWhile(pid: number, going: Promise<unknown>): Promise<number> {
  let over = false;
  const end = going.finally(() => {
    over = true;
  });
  let highest = residentMb(pid);
  while (!over) {
    await Promise.race([delay(100), end]);
    highest = Math.max(highest, residentMb(pid));
  }
  return highest;
}
