import test from 'ava';
import { frameFlag, frameType } from '../wire/spec.ts';
import { type AttachedPair, attachedPair, record } from './testing/attached-pair.ts';

/** A CONNECT whose stream ends at once, FIN ready before the command has gone. */
function connectAndFinish(pair: AttachedPair, id: number): number {
  const made = pair.terminal.attachment.createStream(4096);
  if (made === undefined) throw new Error('no budget');
  const { stream, limit } = made;
  record(stream);
  pair.terminal.attachment.sendCommand(
    { id, verb: 'connect', port: 1, address: '192.0.2.1', number: 80, stream: stream.id, limit },
    stream,
  );
  stream.finish();
  return stream.id;
}

function typesWaiting(pair: AttachedPair): number[] {
  const types: number[] = [];
  for (;;) {
    const frame = pair.takeFrom('terminal');
    if (frame === undefined) return types;
    types.push(frame.type);
  }
}

test('P2.1: FIN waits for its creating message even when credit holds only the message back', t => {
  const opening = attachedPair({ unopened: true });
  const resumeBytes = opening.takeFrom('terminal')?.bytes.length ?? 0;
  const pair = attachedPair({ creditBytes: resumeBytes });
  connectAndFinish(pair, 1);
  t.deepEqual(typesWaiting(pair), []);
  pair.terminal.credit.onCredit({ allowed: resumeBytes + 20_000, linkReceived: 0 });
  pair.terminal.scheduler.wake({
    takeUrgent: () => undefined,
    takeControl: () => undefined,
    takeData: () => undefined,
  });
  connectAndFinish(pair, 2);
  t.deepEqual(typesWaiting(pair), [frameType.command, frameType.command, frameType.fin, frameType.fin]);
});

test('P2.3: the reserve carries as many commands as fit it', t => {
  const pair = attachedPair({ creditBytes: 2000 });
  connectAndFinish(pair, 1);
  t.deepEqual(typesWaiting(pair), [frameType.command, frameType.fin]);
});

test('P3.4: a listener announces little, and an accepted stream its whole window at once', t => {
  const pair = attachedPair();
  const made = pair.mediator.attachment.createStream(4096);
  if (made === undefined) throw new Error('no budget');
  record(made.stream);
  const accepted = pair.terminal.attachment.acceptStream(made.stream.id, made.limit, 4096);
  t.true((accepted?.limit ?? 0) > 4096);
  const frame = pair.takeFrom('terminal');
  t.is(frame?.type, frameType.window);
  t.is(frame?.stream, made.stream.id);
});

test('P3.8: a stream that is not wanted is RESET, and later ones are', t => {
  const pair = attachedPair();
  const made = pair.mediator.attachment.createStream(4096);
  if (made === undefined) throw new Error('no budget');
  const atMediator = record(made.stream);
  pair.terminal.attachment.refuseStream(made.stream.id, 'port-closed');
  pair.settle();
  t.deepEqual(atMediator.told, ['reset port-closed']);
  t.is(pair.mediator.attachment.streamCount, 0);
  const next = pair.mediator.attachment.createStream(4096);
  t.not(pair.terminal.attachment.acceptStream(next?.stream.id ?? 0, 4096), undefined);
});

test('P3.8: without budget an accepted stream can still be refused', t => {
  const pair = attachedPair({ budgetBytes: 4096 });
  const made = [1, 2].map(() => pair.mediator.attachment.createStream(4096));
  t.is(made[1], undefined);
  const id = made[0]?.stream.id ?? 0;
  const blocker = pair.terminal.attachment.createStream(0);
  t.not(blocker, undefined);
  t.is(pair.terminal.attachment.acceptStream(id, 4096), undefined);
  pair.terminal.attachment.refuseStream(id, 'limit');
  const frame = pair.takeFrom('terminal');
  t.is(frame?.type, frameType.reset);
  t.is((frame?.flags ?? 0) & frameFlag.echo, 0);
});
