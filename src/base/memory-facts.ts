import { performance } from 'node:perf_hooks';
import process from 'node:process';
import type { MemoryFacts } from './memory-keeper.ts';

/** The memory of this process. `collect` is the program's: V8 and the C heap give a program no way that all have. */
export function memoryFacts(collect: () => void): MemoryFacts {
  let before = performance.eventLoopUtilization();
  return {
    residentBytes: () => process.memoryUsage.rss(),
    busyShare() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    collect,
  };
}
