import { until } from 'netns-test-helpers';
import { trafficThroughForward } from '../scenarios/support/load.ts';
import { programPath } from '../scenarios/support/peers.ts';
import { profileFolder } from '../scenarios/support/technicians.ts';
import { flawsOf, type Story, type StreamSpec } from '../scenarios/support/traffic.ts';
import { type Json, jsonLines } from '../scenarios/support/verbs.ts';
import { mediatorName } from '../site.ts';
import { namedMishap, type World } from '../soak/mishaps.ts';
import type { BenchContext } from './bench.ts';
import { atMost, type Figure } from './report.ts';

/** What the mediator promises to keep for replay while many streams are cut again and again, and that none of them loses a byte. */

/** A home with a whole Entremise, and what is to be undone in the end. */
export interface RecoveryScene extends World {
  readonly folder: string;
  readonly undo: (() => unknown)[];
  teardown(undo: () => unknown): void;
}

const streams = 200;
const bytesPerSecond = 2_048;
/** Every so many cuts all streams are to move, and a line says so. */
const lookEvery = 50;
/** On a busy machine two thousand pieces a second take their time. */
const moveWithinMs = 120_000;

/** Bytes that never came, came again, came late, or belong nowhere. */
export function lostBytes(stories: readonly Story[]): number {
  return stories
    .flatMap(({ connect, accept }) => [
      ...[...connect.faults, ...accept.faults].map(({ bytes }) => bytes),
      Math.abs(connect.sent - accept.received),
      Math.abs(accept.sent - connect.received),
    ])
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** Counts how often an attachment says that it is back. A long output is forgotten, so lines are counted as they come. */
class Returns {
  private count = 0;

  readonly onLine = (line: string): void => {
    if (line.includes('"state":"resumed"')) this.count++;
  };

  /** Cuts the mediator's link, and waits until the attachment is back. */
  async afterCut(scene: RecoveryScene): Promise<void> {
    const before = this.count;
    await namedMishap("mediator's sockets killed").begin(scene);
    await until(() => this.count > before, {
      what: 'the attachment to be resumed',
      deadlineMs: 60_000,
      intervalMs: 20,
    });
  }
}

/** Asks the mediator all the time what it has promised; call the result for the most so far. */
async function watchLimits(scene: RecoveryScene): Promise<() => Promise<Json>> {
  const words = [profileFolder(scene.site.terminalEnv), mediatorName];
  const program = scene.home.terminal.node(programPath('sdk-limits.mjs'), words, { stdin: 'pipe' });
  scene.teardown(() => program.stop('SIGKILL'));
  await program.untilOutput(/"attached"/);
  return async () => {
    program.write('totals 1\n');
    const said = () => jsonLines(program.stdout).find(({ number }) => number === 1);
    return (await until(said, { what: 'the limits' })).most as Json;
  };
}

/** Every stream that did not go on to its orderly end. */
function endedStreams(stories: readonly Story[]): number {
  return stories.filter(story => flawsOf([story]).length > 0).length;
}

/** See the head of this file. @throws LabError when the attachment does not come back, or streams do not move again */
export async function measureReplay(scene: RecoveryScene, context: BenchContext): Promise<Figure[]> {
  const cuts = context.quick ? 50 : 1_000;
  const specs = Array.from({ length: streams }, (_, at): StreamSpec => {
    return { stream: at + 1, manner: 'both', rate: bytesPerSecond };
  });
  const returns = new Returns();
  const traffic = await trafficThroughForward(scene, scene, specs, { onLine: returns.onLine });
  await traffic.untilMoving(moveWithinMs);
  const mostPromised = await watchLimits(scene);
  for (let done = 1; done <= cuts; done++) {
    await returns.afterCut(scene);
    if (done % lookEvery !== 0) continue;
    const movedMs = Math.round(await traffic.untilMoving(moveWithinMs));
    context.progress(
      `recovery: ${done} of ${cuts} cuts, and all of ${streams} streams moved after ${movedMs} ms`,
    );
  }
  const replayBytes = Number((await mostPromised())['replay-bytes']);
  const stories = await traffic.stop('together', moveWithinMs);
  return [
    { name: 'recovery.replay_mib', value: replayBytes / 2 ** 20, unit: 'MiB', goal: atMost(4) },
    { name: 'recovery.replay_lost_bytes', value: lostBytes(stories), unit: 'bytes', goal: atMost(0) },
    { name: 'recovery.replay_lost_streams', value: endedStreams(stories), unit: 'streams', goal: atMost(0) },
  ];
}
