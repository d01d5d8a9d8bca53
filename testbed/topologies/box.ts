import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { labSupport, until } from 'netns-test-helpers';

/**
 * A box of a gateway's class, for a program of the home's gateway: so much memory and no more, a share of one processor, a
 * root that cannot be written, memory for what is, a user of its own with the two capabilities that the package gives to the
 * mediator, and no way to more. Control groups of version 1 set the limits. The kernel's own memory for the box's
 * sockets counts, pages of programs that something else has read already do not.
 */
export interface Box {
  /** Words that run what follows them in the box. `kept` is copied into memory, and is there the only place to write. */
  wrapper(kept: string, shown?: readonly string[]): string[];
  /** The most memory that the box has had at once, in MB (10^6 bytes). */
  peakMb(): number;
  /** Processes that the kernel killed for want of memory. */
  outOfMemory(): number;
  /** Periods in which the box had used up its share of the processor. */
  throttled(): number;
  /** Removes the limits. @throws LabError `deadline` while something runs in the box */
  remove(): Promise<void>;
}

/** What may be otherwise. */
export interface BoxOptions {
  /** Names the control groups; unique among those of this process. */
  readonly name: string;
  /** Of 2^20 bytes each; 128 when left out. */
  readonly memoryMib?: number;
  /** Of one processor; 0.25 when left out. */
  readonly processorShare?: number;
}

/** The user and group of the box: nobody else's. */
export const boxUser = 64_017;

const memoryGroups = '/sys/fs/cgroup/memory';
const processorGroups = '/sys/fs/cgroup/cpu';
const prefix = 'entremise-box-';

/** The checkout, seen from dist/testbed/topologies. */
const root = fileURLToPath(new URL('../../../', import.meta.url));

/** What every program needs, beside what it is. */
const system = ['/bin', '/lib', '/lib64', '/usr', '/etc', '/dev', '/proc', '/sys'];

/**
 * A share of a slow processor comes all the time, not in gulps: the shorter the period, the nearer to that. Each turn is to
 * be longer than the kernel's least of 1 ms.
 */
const periodUs = 10_000;

/** Why there can be no box here; undefined when there can. */
export function reasonForNoBox(): string | undefined {
  const support = labSupport();
  if (!support.ok) return support.reason;
  if (support.how !== 'root') return 'limits of memory and processor need root';
  const files = [`${memoryGroups}/memory.oom_control`, `${processorGroups}/cpu.cfs_quota_us`];
  const missing = files.find(file => !existsSync(file) && !existsSync(join(dirname(file), 'cgroup.procs')));
  return missing === undefined ? undefined : `this machine has no control groups of version 1 (${missing})`;
}

/** What a killed run left: groups in which nothing runs any more. */
function sweep(groups: string): void {
  for (const name of readdirSync(groups).filter(each => each.startsWith(prefix))) {
    if (existsSync(`/proc/${name.split('-').at(-1)}`)) continue;
    tryRemoving(join(groups, name));
  }
}

function tryRemoving(group: string): boolean {
  try {
    rmdirSync(group);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
  return true;
}

function makeGroup(groups: string, name: string, settings: Readonly<Record<string, number>>): string {
  sweep(groups);
  const group = join(groups, `${prefix}${name}-${process.pid}`);
  mkdirSync(group, { recursive: true });
  for (const [file, value] of Object.entries(settings)) writeFileSync(join(group, file), String(value));
  return group;
}

/** The number behind a word in one of a group's files. */
function counted(group: string, file: string, word: string): number {
  const found = new RegExp(`^${word} (\\d+)$`, 'm').exec(readFileSync(join(group, file), 'utf8'))?.[1];
  if (found === undefined) throw new Error(`${group}/${file} says nothing of ${word}`);
  return Number(found);
}

/** Makes the limits of a box; it is empty until something is run behind its words. */
export function makeBox({ name, memoryMib = 128, processorShare = 0.25 }: BoxOptions): Box {
  const memory = makeGroup(memoryGroups, name, { 'memory.limit_in_bytes': memoryMib * 2 ** 20 });
  const processor = makeGroup(processorGroups, name, {
    'cpu.cfs_period_us': periodUs,
    'cpu.cfs_quota_us': periodUs * processorShare,
  });
  const script = join(root, 'testbed/programs/box.sh');
  const list = (paths: readonly string[]) => paths.map(path => `${path}:`).join('');
  return {
    wrapper: (kept, shown = []) => {
      const own = [dirname(process.execPath), root.replace(/\/$/, ''), ...shown];
      const all = [...system.filter(existsSync), ...own];
      const words = [String(boxUser), list([memory, processor]), list(all), kept];
      return ['unshare', '--mount', '--propagation', 'private', 'sh', script, ...words];
    },
    peakMb: () => Number(readFileSync(join(memory, 'memory.max_usage_in_bytes'), 'utf8')) / 1e6,
    outOfMemory: () => counted(memory, 'memory.oom_control', 'oom_kill'),
    throttled: () => counted(processor, 'cpu.stat', 'nr_throttled'),
    remove: async () => {
      for (const group of [memory, processor])
        await until(() => tryRemoving(group), { what: `everything in ${group} to end`, deadlineMs: 30_000 });
    },
  };
}

/**
 * Environment of a program whose wall clock says something else than the machine's: `@1970-01-01 00:00:30` for a clock that
 * begins there with each process, `-400d` for one that is behind. The monotonic clock is left alone.
 */
export function wrongClock(time: string): Record<string, string> {
  // The loader knows where this machine keeps its libraries.
  return { LD_PRELOAD: '/usr/$LIB/faketime/libfaketimeMT.so.1', FAKETIME: time, DONT_FAKE_MONOTONIC: '1' };
}
