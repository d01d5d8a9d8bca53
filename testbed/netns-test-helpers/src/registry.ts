import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from './errors.ts';
import { checkLabName } from './input.ts';

/*
 * Names and ownership. A lab's id is `nth-<lab>-<pid>-<n>`; its namespaces are `<id>-<name>`. The id is
 * claimed by creating a record with O_EXCL, before the first namespace exists: so two labs never share an
 * id (also not in two threads of one process), and what a killed owner left can be told from what a living
 * one uses. A pid alone would not do: pids come back, so the record also holds the owner's start time.
 */

/** Where `ip netns` keeps its names. */
export const namespacesDirectory = '/run/netns';
const recordsDirectory = '/run/netns-test-helpers';
const idPattern = /^nth-[a-z][a-z0-9]{0,15}-(\d+)-\d+$/;
const namespacePattern = /^(nth-[a-z][a-z0-9]{0,15}-\d+-\d+)-(.+)$/;

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Since boot, in clock ticks: field 22 of /proc/pid/stat. */
  readonly startTicks: number;
}

interface LabRecord {
  readonly owner: ProcessIdentity;
  /** Another pid namespace's pids mean nothing here. */
  readonly pidNamespace: string;
  /** Set when the lab is meant to outlive its owner. */
  readonly detached: boolean;
}

/** The identity of a process; undefined when there is none, or when it is a zombie. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : { pid, startTicks: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

/** True while that very process lives. */
export function isAlive(identity: ProcessIdentity): boolean {
  return processIdentity(identity.pid)?.startTicks === identity.startTicks;
}

function recordPath(labId: string): string {
  return join(recordsDirectory, `${labId}.json`);
}

function ownRecord(detached: boolean): LabRecord {
  const owner = processIdentity(process.pid) ?? { pid: process.pid, startTicks: 0 };
  return { owner, pidNamespace: readlinkSync('/proc/self/ns/pid'), detached };
}

/**
 * Claims a lab id that nobody on this machine has.
 *
 * @throws LabError `unsupported` when /run cannot be written (not root and not in a user namespace).
 */
export function claimLabId(labName: string): string {
  checkLabName(labName);
  for (let n = 1; ; n++) {
    const labId = `nth-${labName}-${process.pid}-${n}`;
    try {
      mkdirSync(recordsDirectory, { recursive: true });
      writeFileSync(recordPath(labId), JSON.stringify(ownRecord(false)), { flag: 'wx' });
      return labId;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code === 'EEXIST') continue;
      const hint = 'run as root, or inside userNamespaceCommand() (labSupport() tells)';
      throw new LabError('unsupported', `cannot keep records in ${recordsDirectory}: ${message}; ${hint}`, {
        cause,
      });
    }
  }
}

/** Marks a lab as one that outlives its owner: sweep() leaves it alone. */
export function markDetached(labId: string): void {
  writeFileSync(recordPath(labId), JSON.stringify(ownRecord(true)));
}

/** Forgets a lab id. */
export function releaseLabId(labId: string): void {
  rmSync(recordPath(labId), { force: true });
}

/** The name that `ip netns` knows a lab's namespace by. */
export function netnsName(labId: string, name: string): string {
  return `${labId}-${name}`;
}

/** True for text that can be a lab id. */
export function isLabId(text: string): boolean {
  return idPattern.test(text);
}

/** The namespaces of a lab that exist now, by the names `ip netns` knows. */
export function namespacesOf(labId: string): string[] {
  return listDirectory(namespacesDirectory).filter(entry => namespacePattern.exec(entry)?.[1] === labId);
}

/** Every lab that left a trace on this machine: a record, or a namespace with a lab's name. */
function knownLabIds(): Set<string> {
  const ids = new Set<string>();
  for (const entry of listDirectory(recordsDirectory)) ids.add(entry.replace(/\.json$/, ''));
  for (const entry of listDirectory(namespacesDirectory)) ids.add(namespacePattern.exec(entry)?.[1] ?? '');
  return new Set([...ids].filter(isLabId));
}

/** Labs whose owner is gone; detached ones only if asked for. */
export function abandonedLabIds(detachedToo: boolean): string[] {
  return [...knownLabIds()].filter(labId => isAbandoned(labId, detachedToo));
}

function isAbandoned(labId: string, detachedToo: boolean): boolean {
  const record = readRecord(labId);
  if (record?.detached && !detachedToo) return false;
  if (record && record.pidNamespace !== readlinkSync('/proc/self/ns/pid')) return false;
  if (record) return !isAlive(record.owner);
  return processIdentity(Number(idPattern.exec(labId)?.[1])) === undefined;
}

/** Half a record (its writer was killed in the middle) counts as none: the pid in the name decides. */
function readRecord(labId: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(labId), 'utf8')) as LabRecord;
  } catch {
    return undefined;
  }
}

/** The entries of a directory; none when it does not exist. */
export function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
