import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { environment } from './command.ts';
import { LabError } from './errors.ts';
import {
  abandonedLabIds,
  isAlive,
  listDirectory,
  namespacesDirectory,
  namespacesOf,
  type ProcessIdentity,
  releaseLabId,
} from './registry.ts';

/*
 * There is one way to remove a lab, and it is synchronous, because the hardest caller is: a process that is
 * about to exit has no event loop left. destroy(), teardown(), sweep() and the exit hooks all end here.
 *
 * Programs are found twice: by the process group each was started in, and by the namespace they are in
 * (/proc/<pid>/ns/net), which also finds daemons that left their group. Only when nothing is left inside do
 * the names go; the kernel then frees the namespace with its interfaces, rules and conntrack table.
 */

const patienceMs = 10_000;
const pollMs = 5;

/**
 * Removes everything of a lab: programs (SIGKILL), namespaces with all in them, its record.
 * Removing a lab that is gone does nothing.
 *
 * @throws LabError `left-behind` naming the processes or namespaces that could not be removed.
 */
export function demolish(labId: string, programs: readonly ProcessIdentity[]): void {
  for (const program of programs) if (isAlive(program)) signalQuietly(-program.pid);
  const deadline = performance.now() + patienceMs;
  // Again and again: an `ip netns add` under way may bring a name after the last look.
  for (;;) {
    const namespaces = namespacesOf(labId);
    if (namespaces.length === 0) break;
    const survivors = emptyAndRemove(namespaces, deadline);
    if (performance.now() > deadline) {
      throw new LabError(
        'left-behind',
        `lab ${labId}: pids [${survivors}], namespaces [${namespacesOf(labId)}]`,
      );
    }
  }
  releaseLabId(labId);
}

/** Gives the pids that would not die in time; their namespaces keep their names. */
function emptyAndRemove(namespaces: readonly string[], deadline: number): number[] {
  const held = namespaces.flatMap(hold);
  try {
    const survivors = killAllInside(held, deadline);
    if (survivors.length === 0) removeNames(namespaces);
    return survivors;
  } finally {
    for (const { fd } of held) closeSync(fd);
  }
}

interface Held {
  readonly fd: number;
  readonly inode: string;
}

/**
 * An open file keeps the namespace alive while we look for what is in it. Without, another process that
 * sweeps the same lab could free it, and its inode number could at once be that of somebody else's lab.
 */
function hold(namespace: string): Held[] {
  try {
    const fd = openSync(`${namespacesDirectory}/${namespace}`, 'r');
    return [{ fd, inode: inodeText(fstatSync(fd)) }];
  } catch {
    return [];
  }
}

/** Kills until the namespaces are empty: what was forking while we looked is caught by the next look. */
function killAllInside(namespaces: readonly Held[], deadline: number): number[] {
  const inodes = new Set(namespaces.map(({ inode }) => inode));
  // Whatever a name may stand for: our own namespace is not to be emptied.
  inodes.delete(inodeAt('/proc/self/ns/net') ?? '');
  for (;;) {
    const inside = inodes.size === 0 ? [] : processesIn(inodes);
    if (inside.length === 0 || performance.now() > deadline) return inside;
    for (const pid of inside) signalQuietly(pid);
    sleepSync(pollMs);
  }
}

function processesIn(inodes: ReadonlySet<string>): number[] {
  return listDirectory('/proc')
    .filter(entry => /^\d+$/.test(entry) && inodes.has(inodeAt(`/proc/${entry}/ns/net`) ?? ''))
    .map(Number)
    .filter(pid => pid !== process.pid);
}

function inodeAt(path: string): string | undefined {
  try {
    return inodeText(statSync(path));
  } catch {
    return undefined;
  }
}

function inodeText({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

function signalQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone, or not ours: the next look at /proc tells which.
  }
}

function removeNames(namespaces: readonly string[]): void {
  if (namespaces.length === 0) return;
  const lines = namespaces.map(name => `netns delete ${name}\n`).join('');
  spawnSync('ip', ['-force', '-batch', '-'], { input: lines, env: environment() });
}

function sleepSync(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/**
 * Removes the labs whose owner died without cleaning up (killed with -9, machine out of memory). Labs of
 * living processes stay, and detached ones unless asked for (when their state file is lost).
 *
 * @returns the ids of the labs that were removed.
 * @throws LabError `left-behind`
 */
export function sweep(options: { readonly detached?: boolean } = {}): string[] {
  const abandoned = abandonedLabIds(options.detached ?? false);
  for (const labId of abandoned) demolish(labId, []);
  return abandoned;
}

/** What the exit hooks need of a lab. */
export interface Removable {
  /** Removes all of it, now, without an event loop. */
  destroySync(): void;
}

const living = new Set<Removable>();
let hooked = false;

/** From now on the lab is removed when this process (or this worker thread) ends, however it ends but by -9. */
export function removeAtExit(lab: Removable): void {
  living.add(lab);
  if (hooked) return;
  hooked = true;
  // 'exit' also comes after an uncaught exception, an unhandled rejection and process.exit().
  process.on('exit', destroyAll);
  if (isMainThread) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) hookSignal(signal);
}

/** The lab is gone, or is to stay: the hooks forget it. */
export function forgetAtExit(lab: Removable): void {
  living.delete(lab);
}

function destroyAll(): void {
  for (const lab of living) {
    living.delete(lab);
    try {
      lab.destroySync();
    } catch (error) {
      process.stderr.write(`${String(error)}\n`);
    }
  }
}

/**
 * With nobody else listening, the signal ends the process as if there had been no hook. A program with a
 * handler of its own has a plan: it will exit in its own time, and the 'exit' hook does the rest.
 */
function hookSignal(signal: NodeJS.Signals): void {
  const onSignal = () => {
    if (process.listenerCount(signal) > 1) return;
    destroyAll();
    process.removeListener(signal, onSignal);
    process.kill(process.pid, signal);
  };
  process.on(signal, onSignal);
}
