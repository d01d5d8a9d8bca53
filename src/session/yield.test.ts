import test from 'ava';
import { type AttachedPair, attachedPair, connectedStreams, record } from './testing/attached-pair.ts';
import { pattern } from './testing/frames.ts';

/** Streams that are idle give back what they do not use (P3.3), from end to end. */

const floorBytes = 4096;

function pass(pair: AttachedPair, ms: number): void {
  for (let left = ms; left > 0; left -= 1000) {
    pair.clock.advance(Math.min(left, 1000));
    pair.settle();
  }
}

/** What is promised to streams, of both budgets of both ends. */
function promised({ terminal, mediator }: AttachedPair): number[] {
  return [terminal, mediator].flatMap(({ receiveBudget, replayBudget }) =>
    [receiveBudget, replayBudget].map(({ totalBytes, freeBytes }) => totalBytes - freeBytes),
  );
}

test('P3.3: after 20 s without bytes all that a stream holds at either end is the floor, and bytes go on from there', t => {
  const pair = attachedPair({ budgetBytes: 64 * 1024 * 1024 });
  const { terminal, mediator } = connectedStreams(pair);
  const received = record(mediator);
  record(terminal);
  const bytes = pattern(60_000);
  terminal.send(bytes);
  pair.settle();
  pair.passDelay();
  for (const bytes of promised(pair)) t.true(bytes >= 64 * 1024);
  pass(pair, 20_000);
  t.deepEqual(promised(pair), Array(4).fill(floorBytes));
  terminal.send(bytes);
  terminal.finish();
  pass(pair, 1000);
  t.true(received.bytes().equals(Buffer.concat([bytes, bytes])));
  t.deepEqual(received.told, ['fin']);
});

test('P3.3: a stream on which bytes go every few seconds keeps its window', t => {
  const pair = attachedPair({ budgetBytes: 64 * 1024 * 1024 });
  const { terminal, mediator } = connectedStreams(pair);
  record(mediator);
  record(terminal);
  for (let count = 0; count < 10; count++) {
    terminal.send(pattern(10));
    pass(pair, 5000);
  }
  const [, share, window] = promised(pair);
  t.deepEqual([share, window], [64 * 1024, 64 * 1024]);
});

test('P3.3: streams that are idle need no timer', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  for (const stream of [terminal, mediator]) record(stream);
  pass(pair, 60_000);
  let timers = 0;
  const { after } = pair.clock;
  pair.clock.after = (delayMs, run) => {
    timers++;
    return after(delayMs, run);
  };
  pass(pair, 60_000);
  t.is(timers, 0);
});
