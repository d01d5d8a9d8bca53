import { setTimeout as delay } from 'node:timers/promises';
import type { Program } from 'netns-test-helpers';
import { until } from 'netns-test-helpers';
import { type Load, type Outcome, startLoad, trafficThroughForward } from '../scenarios/support/load.ts';
import { programPath } from '../scenarios/support/peers.ts';
import { profileFolder } from '../scenarios/support/technicians.ts';
import type { Story } from '../scenarios/support/traffic.ts';
import { type Json, jsonLines, startForward } from '../scenarios/support/verbs.ts';
import { mediatorName } from '../site.ts';
import { type Mishap, namedMishap, type World } from '../soak/mishaps.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { median } from './median.ts';
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

interface Scene extends World {
  readonly folder: string;
  readonly undo: (() => unknown)[];
  teardown(undo: () => unknown): void;
}

/** Milliseconds from good to moving. */
async function recover(scene: Scene, load: Load, mishap: Mishap, lastsMs: number): Promise<number> {
  const heal = await mishap.begin(scene);
  await delay(lastsMs);
  await heal();
  return load.untilMoving(90_000);
}

/** Milliseconds until a terminal has been told that the path of its mediator is dead. */
async function detect(scene: Scene, watcher: Program, load: Load): Promise<number> {
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

async function measureClasses(scene: Scene, context: BenchContext): Promise<Recovery> {
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

function lostBytes(stories: readonly Story[]): number {
  return stories
    .flatMap(({ connect, accept }) => [
      ...[...connect.faults, ...accept.faults].map(({ bytes }) => bytes),
      Math.abs(connect.sent - accept.received),
      Math.abs(accept.sent - connect.received),
    ])
    .reduce((sum, bytes) => sum + bytes, 0);
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

/** Cuts the path once and waits until an attachment is back; which stream moves when is asked in the end, for all cuts. */
async function cutOnce(scene: Scene, watcher: Program): Promise<void> {
  const resumed = () => watcher.stderr.split('"state":"resumed"').length;
  const before = resumed();
  await namedMishap("mediator's sockets killed").begin(scene);
  await until(() => resumed() > before, {
    what: 'an attachment to be resumed',
    deadlineMs: 60_000,
    intervalMs: 20,
  });
}

/** What the mediator promised at most, as it says itself, while many streams were cut. */
async function measureReplay(scene: Scene, context: BenchContext): Promise<Figure[]> {
  const cuts = context.quick ? 50 : 1_000;
  const specs = Array.from({ length: 200 }, (_, at) => ({
    stream: at + 1,
    manner: 'both' as const,
    rate: 2_048,
  }));
  const traffic = await trafficThroughForward(scene, scene, specs);
  await traffic.untilMoving(60_000);
  const { program: watcher } = await startForward(scene, scene, `${homeAddresses.device}:9`);
  const words = [profileFolder(scene.site.terminalEnv), mediatorName];
  const limits = scene.home.terminal.node(programPath('sdk-limits.mjs'), words, { stdin: 'pipe' });
  scene.teardown(() => limits.stop('SIGKILL'));
  await limits.untilOutput(/"attached"/);
  for (let done = 1; done <= cuts; done++) {
    await cutOnce(scene, watcher);
    if (done % 50 === 0) context.progress(`recovery: ${done} of ${cuts} cuts with 200 streams`);
  }
  await traffic.untilMoving(60_000);
  limits.write('totals 1\n');
  const most = await until(() => jsonLines(limits.stdout).find(({ number }) => number === 1), {
    what: 'the limits',
  });
  const lost = lostBytes(await traffic.stop('together', 60_000));
  const replayBytes = Number((most.most as Json)['replay-bytes']);
  return [
    { name: 'recovery.replay_mib', value: replayBytes / 2 ** 20, unit: 'MiB', goal: atMost(4) },
    { name: 'recovery.replay_lost_bytes', value: lost, unit: 'bytes', goal: atMost(0) },
  ];
}

/** A scene of its own for each part, so that none carries what another left. */
function onScene<T>(measure: (scene: Scene) => Promise<T>): Promise<T> {
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
