import { performance } from 'node:perf_hooks';
import process from 'node:process';
import type { NativeSockets } from '../native/addon.ts';
import type { MemoryFacts } from './memory-keeper.ts';

/**
 * The memory of this process. V8 is asked to collect only where it was started with --expose-gc, as the shipped mediator
 * is (docs/configuration.md).
 */
export function memoryFacts(native: NativeSockets | undefined): MemoryFacts {
  let before = performance.eventLoopUtilization();
  return {
    residentBytes: () => process.memoryUsage.rss(),
    busyShare() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    collect() {
      globalThis.gc?.();
      native?.trimHeap();
    },
  };
}
