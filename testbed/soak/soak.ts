import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EntremiseError } from '../../src/base/errors.ts';
import { flawsOfLoad, type Load, startLoad } from '../scenarios/support/load.ts';
import { type SiteOptions, setUpSite } from '../site.ts';
import { type Box, makeBox } from '../topologies/box.ts';
import { buildHome } from '../topologies/home.ts';
import { Chance } from './chance.ts';
import { collectable, type Footprint, footprintOf, footprintText, leaksOf } from './footprint.ts';
import { allMishaps, type Mishap, type World } from './mishaps.ts';

/**
 * The usual load while one thing after the other goes wrong, as a seed decides. After each mishap every stream must move
 * again; in the end every byte must have come once and in order, every command have been answered, and no process hold
 * more than before.
 */

/** How long, and by which chance. */
export interface SoakOptions {
  readonly seed: number;
  /** It ends after so many minutes, or mishaps if that is earlier. */
  readonly minutes: number;
  readonly mishaps?: number;
  /** No mishap lasts longer, in milliseconds. */
  readonly longestMs?: number;
  /** The mediator runs in a box of a gateway's class (topologies/box.ts). */
  readonly boxed?: boolean;
  /** A line for whoever waits. */
  say(line: string): void;
}

/** A mishap that has happened. */
export interface Happened {
  readonly name: string;
  readonly lastedMs: number;
  /** From healed to every stream moving. */
  readonly recoveredMs: number;
}

/** What a soak came to. */
export interface SoakReport {
  readonly seed: number;
  readonly minutes: number;
  readonly happened: readonly Happened[];
  /** What was not as it must be; none is good. */
  readonly flaws: readonly string[];
}

const recoveryDeadlineMs = 60_000;
const shortestMs = 50;

/** What a long break has held back is on its way for a while after streams move again; a leak stays. */
const drainMs = 30_000;
const lookEveryMs = 1_000;

/** While there is no way commands pile up, and with the first answers each of them holds a port. */
const grant = ['--limit', 'ports=1000'];

interface Scene extends World {
  readonly folder: string;
  readonly box: Box | undefined;
  readonly undo: (() => unknown)[];
}

function siteOptions(folder: string, box: Box | undefined): SiteOptions {
  const directory = join(folder, 'site');
  const wrapper = box?.wrapper(join(directory, 'mediator'), [join(directory, 'mediator.toml')]);
  const wrapped = wrapper === undefined ? {} : { mediatorWrapper: wrapper };
  return { directory, grant, serverEnv: collectable, mediatorEnv: collectable, ...wrapped };
}

async function setScene({ boxed = false }: SoakOptions): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'entremise-soak-'));
  const box = boxed ? makeBox({ name: 'soak' }) : undefined;
  const home = await buildHome({ name: 'soak', line: {} });
  try {
    const site = await setUpSite(home, siteOptions(folder, box));
    return { home, site, server: site.server, folder, box, undo: [] };
  } catch (thrown) {
    await home.lab.destroy();
    await box?.remove();
    throw thrown;
  }
}

async function footprints({ site, server }: World): Promise<Record<string, Footprint>> {
  return { mediator: await footprintOf(site.mediator), server: await footprintOf(server) };
}

const allLeaks = (before: Record<string, Footprint>, after: Record<string, Footprint>) =>
  Object.entries(after).flatMap(([name, now]) => leaksOf(name, before[name] ?? now, now));

/** What is held once everything that was held back has left, or after {@link drainMs}. */
async function drainedFootprints(world: World, before: Record<string, Footprint>) {
  const startedAt = performance.now();
  for (;;) {
    const after = await footprints(world);
    const waitedMs = performance.now() - startedAt;
    if (allLeaks(before, after).length === 0 || waitedMs > drainMs) return { after, waitedMs };
    await delay(lookEveryMs);
  }
}

async function happen(scene: Scene, load: Load, mishap: Mishap, lastsMs: number): Promise<Happened> {
  const { name } = mishap;
  const startedAt = performance.now();
  const heal = await mishap.begin(scene);
  await delay(Math.max(0, lastsMs - (performance.now() - startedAt)));
  await heal();
  return {
    name,
    lastedMs: Math.round(lastsMs),
    recoveredMs: Math.round(await load.untilMoving(recoveryDeadlineMs)),
  };
}

async function mishapsFor(
  scene: Scene,
  load: Load,
  options: SoakOptions,
  happened: Happened[],
): Promise<void> {
  const chance = new Chance(options.seed);
  const all = allMishaps();
  const endAt = performance.now() + options.minutes * 60_000;
  const most = options.mishaps ?? Number.POSITIVE_INFINITY;
  while (performance.now() < endAt && happened.length < most) {
    const mishap = chance.pick(all);
    const longestMs = Math.min(mishap.longestMs, options.longestMs ?? Number.POSITIVE_INFINITY);
    const lastsMs = chance.magnitude(shortestMs, longestMs);
    options.say(`${happened.length + 1}. ${mishap.name}, ${Math.round(lastsMs)} ms`);
    const what = await happen(scene, load, mishap, lastsMs);
    options.say(`   all streams moved ${what.recoveredMs} ms later`);
    happened.push(what);
    await delay(chance.magnitude(10, 2_000));
  }
}

async function play(scene: Scene, options: SoakOptions, happened: Happened[]): Promise<string[]> {
  const t = { teardown: (undo: () => unknown) => void scene.undo.push(undo) };
  const load = await startLoad(t, scene);
  await load.untilMoving();
  const before = await footprints(scene);
  scene.load = load;
  await mishapsFor(scene, load, options, happened);
  await load.untilMoving();
  const { after, waitedMs } = await drainedFootprints(scene, before);
  options.say(`footprints ${Math.round(waitedMs)} ms after all streams moved`);
  for (const [name, now] of Object.entries(after))
    options.say(`${name}: ${footprintText(before[name] ?? now)}; now ${footprintText(now)}`);
  const leaks = allLeaks(before, after);
  return [...flawsOfLoad(await load.stop('together', 60_000)), ...leaks, ...flawsOfBox(scene, options)];
}

function flawsOfBox({ box }: Scene, { say }: SoakOptions): string[] {
  if (box === undefined) return [];
  say(`box: at most ${box.peakMb().toFixed(1)} MB at once, ${box.throttled()} times out of processor`);
  const killed = box.outOfMemory();
  return killed === 0 ? [] : [`box: ${killed} processes were ended for want of memory`];
}

/**
 * Runs a soak.
 * @throws EntremiseError `internal` with the seed and where the evidence lies, when streams do not move again or a program
 * ends by itself
 */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const startedAt = performance.now();
  options.say(`seed ${options.seed}`);
  const scene = await setScene(options);
  const happened: Happened[] = [];
  try {
    const flaws = await play(scene, options, happened);
    if (flaws.length > 0) options.say(`evidence: ${await scene.home.lab.keepEvidence()}`);
    return { seed: options.seed, minutes: (performance.now() - startedAt) / 60_000, happened, flaws };
  } catch (cause) {
    const evidence = await scene.home.lab.keepEvidence().catch(String);
    const last = happened.at(-1)?.name ?? 'none';
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Seed ${options.seed}, after ${happened.length} mishaps (the last: ${last}): ${reason}. Evidence: ${evidence}`;
    throw new EntremiseError('internal', { message, cause });
  } finally {
    for (const undo of scene.undo.reverse()) await undo();
    await scene.home.lab.destroy();
    await scene.box?.remove();
    await rm(scene.folder, { recursive: true, force: true });
  }
}
