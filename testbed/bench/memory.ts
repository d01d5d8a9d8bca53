import { fileURLToPath } from 'node:url';
import { mediatorName, type Site } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { median } from './median.ts';
import { atMost, type Figure, type Goal } from './report.ts';
import { highestResidentMb, peakMb } from './resident.ts';
import { measureRounds, type RoundValues, valuesOf } from './rounds.ts';
import { withSite } from './with-home.ts';

/**
 * Resident memory of one mediator, started as it ships: its bundle, with its V8 flags. One process goes through all
 * rounds, so what does not come back shows as growth. A value is the highest within some seconds, after some in which the
 * mediator may give back what its load or the one before left; `peak` is the highest of all, at any time.
 *
 *   idle            attached to nothing, after start and after each load
 *   streams1000     1,000 open streams, each of which has carried 1 KiB both ways and is quiet
 *   stopped_device  8 streams push from the terminal to a device that reads nothing
 *   stopped_terminal  8 streams push from the device to a terminal program that reads nothing
 */

const echoPort = 7;
const silentPort = 9;
const floodPort = 19;
const forwardPort = 17_000;

const program = (name: string) =>
  fileURLToPath(new URL(`../../../testbed/programs/${name}`, import.meta.url));

/** What the load is: how many connections go where, and what their programs do. */
interface Load {
  readonly port: number;
  readonly streams: number;
  /** Of tcp-crowd.mjs. */
  readonly manner: 'chat' | 'push' | 'ignore';
}

const loads = {
  streams1000: { port: echoPort, streams: 1000, manner: 'chat' },
  stopped_device: { port: silentPort, streams: 8, manner: 'push' },
  stopped_terminal: { port: floodPort, streams: 8, manner: 'ignore' },
} as const satisfies Record<string, Load>;

/** A grant that says nothing allows 64 ports at once and 100 new streams a second. */
const crowdLimits = ['ports=2000', 'streams=2000', 'newStreamsPerSecond=10000'].flatMap(limit => [
  '--limit',
  limit,
]);

async function startEnds(site: Site): Promise<void> {
  const { device } = site.home;
  for (const [manner, port] of Object.entries({ echo: echoPort, silent: silentPort, flood: floodPort })) {
    device.node(program('tcp-service.mjs'), [manner, homeAddresses.device, String(port)]);
    await device.untilListening('tcp', port);
  }
}

/** Opens the streams, and gives what ends them all. */
async function startLoad(site: Site, { port, streams, manner }: Load): Promise<() => Promise<void>> {
  const { terminal } = site.home;
  const target = `${forwardPort}:${homeAddresses.device}:${port}`;
  const forward = site.startTerminal(['forward', mediatorName, target]);
  await terminal.untilListening('tcp', forwardPort);
  const crowd = terminal.node(program('tcp-crowd.mjs'), [
    manner,
    '127.0.0.1',
    String(forwardPort),
    String(streams),
  ]);
  await crowd.untilOutput(/^ready$/m, 60_000);
  return async () => {
    // The forward detaches; of the crowd alone a device that reads nothing would keep what had been written.
    await forward.stop('SIGINT');
    await crowd.stop();
  };
}

async function underLoad(site: Site, load: Load, seconds: number): Promise<number> {
  const stop = await startLoad(site, load);
  try {
    return await highestResidentMb(site.mediator.pid, seconds);
  } finally {
    await stop();
  }
}

async function measure(site: Site, context: BenchContext): Promise<readonly Figure[]> {
  const seconds = context.quick ? 1 : 6;
  await startEnds(site);
  const idle = {
    what: 'idle',
    unit: 'MB',
    measure: () => highestResidentMb(site.mediator.pid, seconds),
  };
  const loaded = Object.entries(loads).map(([what, load]) => ({
    what,
    unit: 'MB',
    measure: () => underLoad(site, load, seconds),
  }));
  const values = await measureRounds(context, context.quick ? 1 : 4, [idle, ...loaded]);
  const peak = { name: 'memory.peak_mb', value: peakMb(site.mediator.pid), unit: 'MB', goal: undefined };
  return [...figuresOf(values), peak];
}

function figuresOf(values: RoundValues): Figure[] {
  const figure = (name: string, value: number, goal?: Goal): Figure => {
    return { name: `memory.${name}`, value, unit: 'MB', goal };
  };
  const of = (what: string) => valuesOf(values, what);
  const [first = 0, second = first, ...later] = of('idle');
  const stopped = Math.max(median(of('stopped_device')), median(of('stopped_terminal')));
  return [
    figure('idle_mb', first, atMost(55)),
    figure('streams1000_mb', median(of('streams1000')), atMost(75)),
    figure('stopped_reader_mb', stopped, atMost(80)),
    figure('stopped_device_mb', median(of('stopped_device'))),
    figure('stopped_terminal_mb', median(of('stopped_terminal'))),
    figure('idle_after_load_mb', second),
    figure('growth_a_round_mb', ((later.at(-1) ?? second) - second) / Math.max(1, later.length)),
  ];
}

/** See the head of this file. */
export const memoryBench: Bench = {
  name: 'memory',
  summary: 'resident memory of the mediator: idle, with 1,000 streams, with readers that stopped',
  run(context) {
    context.progress('memory: building the home, enrolling server, mediator and terminal');
    return withSite('bench', { grant: crowdLimits }, site => measure(site, context));
  },
};
