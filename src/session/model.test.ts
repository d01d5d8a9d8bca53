import test from 'ava';
import fc from 'fast-check';
import { histories, runHistory, streamOperations } from './testing/stream-model.ts';
import { StreamWorld } from './testing/stream-world.ts';

/** Random histories of two attachments against plain byte queues; testing/stream-model.ts says what must hold. */

const weights = {
  connect: 3,
  write: 8,
  take: 5,
  finish: 2,
  abort: 1,
  abortAfterData: 1,
  send: 8,
  arrive: 8,
  wait: 3,
  credit: 3,
};

const kib = 1024;

const surroundings = fc.record({
  budgetBytes: fc.constantFrom(12 * kib, 64 * kib, 1024 * kib, 64 * 1024 * kib),
  creditBytes: fc.constantFrom(17 * kib, 64 * kib, 2 ** 50),
});

test('P3: whatever two owners do, bytes arrive exactly and in order, FIN behind all, RESET at both ends, and nothing is left', t => {
  let streams = 0;
  fc.assert(
    fc.property(surroundings, histories(weights, 150), (options, steps) => {
      const world = new StreamWorld(options);
      runHistory(world, streamOperations, steps);
      streams += world.streams.length;
    }),
    { numRuns: 300, includeErrorInReport: true },
  );
  t.true(streams > 1000, `${streams}`);
});

test('P3: without aborts every stream finishes at both ends with all its bytes', t => {
  fc.assert(
    fc.property(
      surroundings,
      histories({ ...weights, abort: 0, abortAfterData: 0 }, 150),
      (options, steps) => {
        const world = new StreamWorld(options);
        runHistory(world, streamOperations, steps);
        return world.ends().every(end => end.finished || end.resetSeen === 'limit');
      },
    ),
    { numRuns: 150, includeErrorInReport: true },
  );
  t.pass();
});
