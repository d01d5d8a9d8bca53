import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

/** A quota of the processor for one process, by the kernel's control groups of either version. */

/** A process that has no more than its share. */
export interface ProcessorShare {
  /** Of the kernel's periods, in how many it wanted more. */
  heldUp(): number;
  /** It has the whole again. */
  end(): void;
}

interface Tree {
  readonly root: string;
  /** Is there when this tree is. */
  readonly mark: string;
  /** The line of /proc/PID/cgroup that says where in this tree a process is. */
  readonly place: RegExp;
  /** File and text that set a quota, in microseconds of each period. */
  readonly quota: (quotaUs: number) => readonly (readonly [file: string, text: string])[];
}

const periodUs = 100_000;

const trees: readonly Tree[] = [
  {
    root: '/sys/fs/cgroup/cpu',
    mark: 'cpu.cfs_quota_us',
    place: /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(.*)$/m,
    quota: quotaUs => [
      ['cpu.cfs_period_us', String(periodUs)],
      ['cpu.cfs_quota_us', String(quotaUs)],
    ],
  },
  {
    root: '/sys/fs/cgroup',
    mark: 'cgroup.subtree_control',
    place: /^0::(.*)$/m,
    quota: quotaUs => [['cpu.max', `${quotaUs} ${periodUs}`]],
  },
];

/** A group with a quota and nobody in it. @throws Error where there can be none */
function newGroup(share: number): { readonly tree: Tree; readonly path: string } {
  const tree = trees.find(({ root, mark }) => existsSync(join(root, mark)));
  if (tree === undefined) throw new Error('no such controller is mounted');
  const path = join(tree.root, `entremise-${process.pid}`);
  mkdirSync(path);
  try {
    for (const [file, text] of tree.quota(Math.round(share * periodUs)))
      writeFileSync(join(path, file), text);
  } catch (thrown) {
    rmdirSync(path);
    throw thrown;
  }
  return { tree, path };
}

/** Why no process can be given a share here; undefined when it can. */
export function reasonAgainstShares(): string | undefined {
  try {
    rmdirSync(newGroup(1).path);
    return undefined;
  } catch (thrown) {
    return `there can be no control group with a quota of the processor: ${String(thrown)}`;
  }
}

/**
 * Gives a process, all its threads together, no more than `share` of one processor. One at a time.
 * @throws Error where {@link reasonAgainstShares} has a reason
 */
export function limitProcessor(pid: number, share: number): ProcessorShare {
  const { tree, path } = newGroup(share);
  const before = tree.place.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '/';
  const moveTo = (group: string) => writeFileSync(join(group, 'cgroup.procs'), String(pid));
  moveTo(path);
  const stat = () => readFileSync(join(path, 'cpu.stat'), 'utf8');
  return {
    heldUp: () => Number(/^nr_throttled (\d+)$/m.exec(stat())?.[1] ?? 0),
    end() {
      moveTo(join(tree.root, before));
      rmdirSync(path);
    },
  };
}
