import process from 'node:process';
import { type Program, until } from 'netns-test-helpers';
import type { Site } from '../site.ts';
import type { Box } from '../topologies/box.ts';
import type { BenchContext } from './bench.ts';
import { median, medianRatio } from './median.ts';
import { atMost, type Figure } from './report.ts';
import { measureRounds, valuesOf } from './rounds.ts';
import type { TcpOutcome } from './router-loads.ts';

/** What the mediator takes of a box when it does little: time to start, memory. */

/** What a Node without a program does in the same box. */
const nothing = [process.execPath, '-e', 'console.log("here")'];

/** Seconds until a program has said something. */
async function secondsUntil(start: () => Program, says: RegExp): Promise<number> {
  const begin = performance.now();
  const program = start();
  await until(() => says.test(program.stdout + program.stderr), {
    what: `${program} to say ${says}`,
    deadlineMs: 60_000,
    intervalMs: 5,
    explain: () => program.stderr,
  });
  const seconds = (performance.now() - begin) / 1000;
  await program.stop();
  return seconds;
}

/** Starts it some times and then once more, and leaves that running. */
export async function startFigures(site: Site, context: BenchContext, box: Box): Promise<Figure[]> {
  await site.mediator.stop();
  const state = `${site.directory}/mediator`;
  const online = () => secondsUntil(() => site.startMediator(), /"msg":"online"/);
  const node = () => secondsUntil(() => site.home.gateway.spawn([...box.wrapper(state), ...nothing]), /here/);
  const values = await measureRounds(context, context.quick ? 1 : 5, [
    { what: 'start', unit: 's', measure: online },
    { what: 'start.node', unit: 's', measure: node },
  ]);
  const of = (what: string) => valuesOf(values, what);
  return [
    { name: 'router.start_s', value: median(of('start')), unit: 's', goal: undefined },
    {
      name: 'router.start_vs_node',
      value: medianRatio(of('start'), of('start.node')),
      unit: 'ratio',
      goal: undefined,
    },
  ];
}

/** Memory of the mediator, and of all that its box has had. */
export function memoryFigures({ idleMb, idleOwnMb, nodeMb, bulkMb }: TcpOutcome, box: Box): Figure[] {
  return [
    { name: 'router.rss_idle_mb', value: idleMb, unit: 'MB', goal: atMost(55) },
    { name: 'router.rss_idle_own_mb', value: idleOwnMb, unit: 'MB', goal: undefined },
    { name: 'router.rss_node_mb', value: nodeMb, unit: 'MB', goal: undefined },
    { name: 'router.rss_bulk_mb', value: bulkMb, unit: 'MB', goal: undefined },
    { name: 'router.box_peak_mb', value: box.peakMb(), unit: 'MB', goal: undefined },
    { name: 'router.out_of_memory', value: box.outOfMemory(), unit: 'processes', goal: atMost(0) },
  ];
}
