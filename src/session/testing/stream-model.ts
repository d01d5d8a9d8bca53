import fc from 'fast-check';
import type { Side } from '../stream-table.ts';
import { pattern } from './frames.ts';
import type { ModelEnd } from './model-end.ts';
import { type ModelStream, otherSide, type StreamWorld } from './stream-world.ts';

/** Histories of streams: what may happen, and what must hold when all has settled (P3, P4.5). */

/** One step of a history. What its numbers mean is up to the operation. */
export interface Step {
  readonly what: string;
  readonly side: Side;
  readonly pick: number;
  readonly amount: number;
}

/** What can happen, by name. More may be added for histories of other kinds. */
export type Operations = Readonly<Record<string, (world: StreamWorld, step: Step) => void>>;

function endOf(world: StreamWorld, { pick, side }: Step): ModelEnd | undefined {
  return world.picked(pick)?.[side];
}

/** Everything that two owners and a link do without losing it. */
export const streamOperations: Operations = {
  connect: (world, { side }) => world.connect(side),
  write: (world, step) => endOf(world, step)?.write(pattern(step.amount, step.pick)),
  take: (world, step) => endOf(world, step)?.take(step.amount),
  finish: (world, step) => endOf(world, step)?.finish(),
  abort: (world, step) => endOf(world, step)?.abort('aborted', false),
  abortAfterData: (world, step) => endOf(world, step)?.abort('peer-reset', true),
  send: (world, { side, pick }) => world.send(side, pick),
  arrive: (world, { side, pick }) => world.arrive(side, pick),
  wait: world => world.clock.advance(50),
  credit: (world, { side, amount }) => world.giveCredit(side, amount),
};

/** And what happens to labels: an end learns of the loss alone, or both do, or neither before the next is there (P4). */
export const resumeOperations: Operations = {
  ...streamOperations,
  chat: world => world.chat(),
  lose: (world, { side }) => world.loseLabel(side),
  loseBoth: world => {
    world.loseLabel('terminal');
    world.loseLabel('mediator');
  },
  resume: world => world.resume(),
  resumeWhole: world => {
    world.resume();
    world.exchange(3);
  },
  exchange: (world, { pick }) => world.exchange(pick),
};

/** Histories of at most `maxSteps` steps. `weights`: how often each operation stands in them, compared with the others. */
export function histories(weights: Readonly<Record<string, number>>, maxSteps: number): fc.Arbitrary<Step[]> {
  const names = Object.entries(weights).flatMap(([name, weight]) => Array<string>(weight).fill(name));
  const step = fc.record({
    what: fc.constantFrom(...names),
    side: fc.constantFrom<Side>('terminal', 'mediator'),
    pick: fc.nat(30),
    amount: fc.oneof(fc.nat(100), fc.nat(70_000)),
  });
  return fc.array(step, { maxLength: maxSteps, size: 'max' });
}

/** Runs a history, lets everything settle, and says what holds. */
export function runHistory(world: StreamWorld, operations: Operations, steps: readonly Step[]): void {
  for (const step of steps) {
    operations[step.what]?.(world, step);
    world.checkBudgets();
  }
  world.settle();
  for (const stream of world.streams) checkSettled(stream);
  for (const end of world.ends()) end.finish();
  world.settle();
  for (const stream of world.streams) checkOver(stream);
  checkNothingLeft(world);
  world.checkControl();
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

/** Every byte that was handed over has been given to the far end, and FIN where it was said. */
function checkSettled(stream: ModelStream): void {
  for (const side of ['terminal', 'mediator'] as const) {
    const [own, far] = [stream[side], stream[otherSide(side)]];
    if (own === undefined || far === undefined || !own.clean) continue;
    must(own.pendingBytes === 0, `${own.pendingBytes} bytes of the ${side} never arrived`);
    must(own.finishing || !own.waitsForRoom, `the ${side} was never told that it has room again`);
    must(far.finSeen === own.finishing, `FIN of the ${side}: sent ${own.finishing}, seen ${far.finSeen}`);
  }
}

/** A stream has finished at both ends, or is reset at both: nothing ends cleanly here and by RESET there unseen. */
function checkOver(stream: ModelStream): void {
  const ends = [stream.terminal, stream.mediator].flatMap(end => end ?? []);
  for (const end of ends) {
    must(end.stream.ended, 'a stream is still there');
    must(end.over, 'an end was not told that its stream is over');
    const far = ends.find(other => other !== end);
    const reason = far?.aborted ?? (far === undefined ? 'limit' : undefined);
    if (end.resetSeen !== undefined)
      must(end.resetSeen === reason, `a RESET ${end.resetSeen} that was not sent`);
    // Who has finished is over before a RESET that comes later; its own abort is the other case.
    if (far?.aborted !== undefined) must(end.over, 'a RESET was not seen');
    if (end.abortedBehindData && far !== undefined && far.aborted === undefined)
      must(end.pendingBytes === 0, `${end.pendingBytes} bytes before a RESET never arrived`);
    if (end.finished && end.clean) must(end.pendingBytes === 0, 'finished with bytes that never arrived');
  }
}

function checkNothingLeft(world: StreamWorld): void {
  for (const side of ['terminal', 'mediator'] as const) {
    const { attachment, receiveBudget, replayBudget } = world.pair[side];
    must(attachment.streamCount === 0, `${attachment.streamCount} streams are left at the ${side}`);
    must(attachment.pendingResets === 0, `${attachment.pendingResets} RESETs are left at the ${side}`);
    must(receiveBudget.freeBytes === receiveBudget.totalBytes, `windows are left at the ${side}`);
    must(replayBudget.freeBytes === replayBudget.totalBytes, `shares are left at the ${side}`);
  }
}
