import type { Bench } from './bench.ts';
import { memoryBench } from './memory.ts';
import { tcpBench } from './tcp.ts';

/** Every bench there is. */
export const benches: readonly Bench[] = [tcpBench, memoryBench];
