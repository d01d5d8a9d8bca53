import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import type { MemoryFacts } from './memory-keeper.ts';

/** Without pages of the program and other files, which come and go as they are used; all of them where the kernel does not say. */
function ownBytes(): number {
  try {
    const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // No /proc: no Linux, or a jail without it.
  }
  return process.memoryUsage.rss();
}

/** The memory of this process. `collect` is the program's: V8 and the C heap give a program no way that all have. */
export function memoryFacts(collect: () => void): MemoryFacts {
  let before = performance.eventLoopUtilization();
  return {
    ownBytes,
    busyShare() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    collect,
  };
}
