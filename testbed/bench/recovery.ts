import { setTimeout as delay } from 'node:timers/promises';
import type { Program } from 'netns-test-helpers';
import { until } from 'netns-test-helpers';
import { type Load, type Outcome, startLoad } from '../scenarios/support/load.ts';
import { jsonLines, startForward } from '../scenarios/support/verbs.ts';
import { type Mishap, namedMishap } from '../soak/mishaps.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { median } from './median.ts';
import { lostBytes, measureReplay, type RecoveryScene } from './recovery-replay.ts';
import { measureSshRecovery } from './recovery-ssh.ts';
import { atMost, type Figure } from './report.ts';
import { withSite } from './with-home.ts';

/**
 * From the moment a path is good again until every stream has moved both ways, by what had gone wrong; how long a path that
 * is dead goes unnoticed while bytes wait; what was lost; and what the mediator promised to keep for replay while 200
 * streams were cut again and again. The load is that of the scenarios: eight streams both ways, an idle one, commands.
 */

/** What goes wrong, and for how long; 0: it is over at once. */
const classes: readonly (readonly [name: string, mishap: string, lastsMs: number])[] = [
  ['reset', 'reset forged by the carrier', 0],
  ['nat_forgets', 'carrier forgets its NAT', 0],
  ['link_down', 'WAN cable pulled', 3_000],
  ['black_hole', 'black hole', 12_000],
  ['server_killed', 'the server is killed', 2_000],
];

/** A link that was lost sooner than that is in no hurry to be back (P1.10), and this is about links that were good. */
const linkLivesMs = 10_500;

/** Milliseconds from good to moving. */
async function recover(scene: RecoveryScene, load: Load, mishap: Mishap, lastsMs: number): Promise<number> {
  await delay(linkLivesMs);
  const heal = await mishap.begin(scene);
  await delay(lastsMs);
  await heal();
  return load.untilMoving(90_000);
}

/** Milliseconds until a terminal has been told that the path of its mediator is dead. */
async function detect(scene: RecoveryScene, watcher: Program, load: Load): Promise<number> {
  const states = () => jsonLines(watcher.stderr).map(({ state }) => String(state));
  const suspended = () => states().filter(state => state === 'suspended').length;
  // It comes back when it likes, and only who is there can notice anything.
  const isThere = () => /^(attached|resumed)$/.test(states().at(-1) ?? '');
  await until(isThere, { what: 'the watching terminal to be back', deadlineMs: 60_000 });
  const before = suspended();
  const startedAt = performance.now();
  const heal = await namedMishap('black hole').begin(scene);
  await until(() => suspended() > before, {
    what: 'the dead path to be noticed',
    deadlineMs: 60_000,
    intervalMs: 20,
  });
  const noticedMs = performance.now() - startedAt;
  await heal();
  await load.untilMoving(90_000);
  return noticedMs;
}

interface Recovery {
  readonly figures: readonly Figure[];
}

async function measureClasses(scene: RecoveryScene, context: BenchContext): Promise<Recovery> {
  const rounds = context.quick ? 3 : 6;
  const load = await startLoad(scene, scene);
  const { program: watcher } = await startForward(scene, scene, `${homeAddresses.device}:9`);
  const times = new Map<string, number[]>();
  const note = (round: number, what: string, ms: number) => {
    times.set(what, [...(times.get(what) ?? []), ms / 1000]);
    context.record({ round, what, value: ms / 1000, unit: 's' });
  };
  for (let round = 1; round <= rounds; round++) {
    for (const [name, mishap, lastsMs] of classes)
      note(round, name, await recover(scene, load, namedMishap(mishap), lastsMs));
    note(round, 'detect', await detect(scene, watcher, load));
  }
  return { figures: figuresOf(times, await load.stop('together', 60_000)) };
}

function figuresOf(times: ReadonlyMap<string, readonly number[]>, outcome: Outcome): Figure[] {
  const all = classes.flatMap(([name]) => times.get(name) ?? []).toSorted((a, b) => a - b);
  const p95 = all[Math.ceil(all.length * 0.95) - 1] ?? Number.POSITIVE_INFINITY;
  const figure = (name: string, value: number, unit: string, goal?: Figure['goal']): Figure => {
    return { name: `recovery.${name}`, value, unit, goal };
  };
  return [
    figure('p95_s', p95, 's', atMost(2)),
    figure('detect_s', Math.max(...(times.get('detect') ?? [])), 's', atMost(6)),
    figure('lost_bytes', lostBytes(outcome.stories), 'bytes', atMost(0)),
    ...classes.map(([name]) => figure(`${name}_s`, median(times.get(name) ?? []), 's')),
  ];
}

/** A scene of its own for each part, so that none carries what another left. */
function onScene<T>(measure: (scene: RecoveryScene) => Promise<T>): Promise<T> {
  const grant = ['ports=1000', 'streams=1000', 'newStreamsPerSecond=1000'].flatMap(each => ['--limit', each]);
  return withSite('bench', { grant }, async site => {
    const undo: (() => unknown)[] = [];
    const teardown = (each: () => unknown) => void undo.push(each);
    const { home, server, directory: folder } = site;
    try {
      return await measure({ home, site, server, folder, undo, teardown });
    } finally {
      for (const each of undo.reverse()) await each();
    }
  });
}

/** See the head of this file. */
export const recoveryBench: Bench = {
  name: 'recovery',
  summary: 'from a good path to moving streams, how soon a dead one is noticed, and what replay takes',
  async run(context) {
    context.progress('recovery: building the home, enrolling server, mediator and terminal');
    const { figures } = await onScene(scene => measureClasses(scene, context));
    const replay = await onScene(scene => measureReplay(scene, context));
    return [...figures, ...replay, ...(await measureSshRecovery(context))];
  },
};
