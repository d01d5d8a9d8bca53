import type { Side } from '../../../session/stream-table.ts';
import type { ModelEnd } from '../../../session/testing/model-end.ts';
import type { Association, ModelStream } from './association.ts';
import { mustBeHonest } from './process.ts';
import type { PathWorld } from './world.ts';

/** What must hold when all has come to rest, when every stream is over, and when nobody has anything left to do. */

const sides: readonly Side[] = ['terminal', 'mediator'];

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

/** Every byte and message that was handed over has been given to the far end, and FIN where it was said. */
export function checkSettled(world: PathWorld): void {
  for (const association of world.associations) {
    if (association.over.terminal || association.over.mediator) continue;
    checkSaid(association);
    checkDatagrams(world, association);
    for (const stream of association.streams.values()) checkStream(stream);
  }
}

function checkSaid({ said, heard }: Association): void {
  for (const what of ['commands', 'results', 'events'] as const)
    must(said[what] === heard[what], `${said[what]} ${what} were said, ${heard[what]} heard`);
}

/** Whatever is missing was counted by who dropped it (P2.3, P4.7), or went with a label. */
function checkDatagrams(world: PathWorld, association: Association): void {
  const atTerminal = world.terminals.find(one => one.association === association)?.droppedDatagrams ?? 0;
  const counted = {
    terminal: atTerminal + world.droppedDatagrams,
    mediator: world.mediator.droppedDatagramsOf(association) + world.droppedDatagrams,
  };
  for (const side of sides) {
    const { missing } = association.datagrams[side];
    must(
      missing <= counted[side],
      `${missing} datagrams of the ${side} are missing, ${counted[side]} counted`,
    );
  }
}

function checkStream(stream: ModelStream): void {
  for (const side of sides) {
    const [own, far] = [stream[side], stream[side === 'terminal' ? 'mediator' : 'terminal']];
    if (own === undefined || far === undefined || !own.clean) continue;
    must(own.pendingBytes === 0, `${own.pendingBytes} bytes of the ${side} never arrived`);
    must(own.finishing || !own.waitsForRoom, `the ${side} was never told that it has room again`);
    must(far.finSeen === own.finishing, `FIN of the ${side}: sent ${own.finishing}, seen ${far.finSeen}`);
  }
}

/**
 * Every stream has ended, and both ends tell the same story of it (P3.6). `all`: also of attachments that one end has left
 * and the other may still hold.
 */
export function checkOver(world: PathWorld, all: boolean): void {
  for (const association of world.associations) {
    if (!all && (association.over.terminal || association.over.mediator)) continue;
    for (const stream of association.streams.values()) checkStory(stream, association);
  }
}

function checkStory(stream: ModelStream, { died }: Association): void {
  for (const side of sides) stream[side]?.listen();
  for (const side of sides) {
    const far: Side = side === 'terminal' ? 'mediator' : 'terminal';
    const [own, other] = [stream[side], stream[far]];
    if (own === undefined) continue;
    must(own.fault === undefined, own.fault ?? '');
    if (died[side]) continue;
    must(own.stream.ended, `a stream is still there at the ${side}`);
    must(own.over, `the ${side} was not told that its stream is over`);
    // `limit` is the honest word of who has no budget left for a stream (P3.3).
    if (own.resetSeen !== undefined && own.resetSeen !== 'limit') mustBeHonest(own.resetSeen, 'a stream');
    if (own.finished && !died[far]) checkFinished(own, other);
  }
}

/**
 * Who has finished has had all of the other and knows that the other has had all of it. The other may yet be told that the
 * path is gone, but by then it has everything and has said everything.
 */
function checkFinished(own: ModelEnd, other: ModelEnd | undefined): void {
  must(own.pendingBytes === 0, 'finished with bytes that never arrived');
  must(other?.finishing === true && other.finSeen, 'finished, and the other end has not seen FIN');
  must(other?.pendingBytes === 0, 'finished without the last bytes of the other end');
}

/** No stream, label, RESET, credit or byte of a budget is left anywhere. */
export function checkNothingLeft(world: PathWorld): void {
  world.check();
  for (const { leftovers } of [...world.terminals, world.mediator])
    must(leftovers === 0, `${leftovers} streams or RESETs are left`);
  must(world.mediator.attachments.length === 0, 'the mediator holds an attachment');
  for (const one of world.processes) one.checkNothingLeft();
  const status = world.server?.status();
  must(status?.attachments === 0, `${status?.attachments} attachments are left at the server`);
  must(status?.grownCreditBytes === 0, `${status?.grownCreditBytes} bytes of credit are left at the server`);
  must(status?.queuedBytes === 0, `${status?.queuedBytes} bytes wait at the server`);
}
