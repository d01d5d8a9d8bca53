import type { Bench } from './bench.ts';
import { callBench } from './call.ts';
import { captureBench } from './capture.ts';
import { fleetBench } from './fleet.ts';
import { floodsBench } from './floods.ts';
import { keepaliveBench } from './keepalive.ts';
import { latencyBench } from './latency.ts';
import { memoryBench } from './memory.ts';
import { recoveryBench } from './recovery.ts';
import { routerBench } from './router.ts';
import { streamsBench } from './streams.ts';
import { tcpBench } from './tcp.ts';
import { udpBench } from './udp.ts';

/** Every bench there is. */
export const benches: readonly Bench[] = [
  tcpBench,
  memoryBench,
  latencyBench,
  streamsBench,
  recoveryBench,
  keepaliveBench,
  udpBench,
  captureBench,
  routerBench,
  callBench,
  fleetBench,
  floodsBench,
];
