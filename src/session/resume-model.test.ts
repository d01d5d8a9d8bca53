import test from 'ava';
import fc from 'fast-check';
import type { PairOptions } from './testing/attached-pair.ts';
import { histories, resumeOperations, runHistory, type Step } from './testing/stream-model.ts';
import { StreamWorld } from './testing/stream-world.ts';

/**
 * Random histories in which labels are lost at any moment and come back with fresh keys, against plain byte queues and
 * counted messages (P4). testing/stream-model.ts says what must hold. ENTREMISE_RESUME_RUNS asks for more of them.
 */

const weights = {
  connect: 3,
  write: 8,
  take: 5,
  finish: 3,
  abort: 1,
  abortAfterData: 1,
  chat: 2,
  send: 9,
  arrive: 9,
  wait: 3,
  credit: 2,
  lose: 1,
  loseBoth: 1,
  resume: 1,
  resumeWhole: 3,
  exchange: 4,
};

const kib = 1024;
const runs = Number(process.env.ENTREMISE_RESUME_RUNS ?? 1000);

const surroundings = fc.record({
  budgetBytes: fc.constantFrom(12 * kib, 64 * kib, 1024 * kib, 64 * 1024 * kib),
  creditBytes: fc.constantFrom(17 * kib, 64 * kib, 2 ** 50),
});

/** A world with a stream of each side, so that histories have something to lose from their first step on. */
function begun(options: PairOptions): StreamWorld {
  const world = new StreamWorld(options);
  world.connect('terminal');
  world.connect('mediator');
  world.exchange(4);
  return world;
}

test('P4: whatever is lost, bytes and messages arrive once and in order, streams end alike at both ends, nothing is left', t => {
  let [streams, resentBytes] = [0, 0];
  fc.assert(
    fc.property(surroundings, histories(weights, 120), (options, steps) => {
      const world = begun(options);
      runHistory(world, resumeOperations, steps);
      streams += world.streams.length;
      for (const end of [world.pair.terminal, world.pair.mediator]) resentBytes += end.attachment.resentBytes;
    }),
    { numRuns: runs, includeErrorInReport: true },
  );
  t.true(streams > 3 * runs, `${streams}`);
  t.true(resentBytes > 500 * runs, `${resentBytes}`);
});

test('P4: without aborts every stream finishes at both ends with all its bytes, however often labels are lost', t => {
  fc.assert(
    fc.property(
      surroundings,
      histories({ ...weights, abort: 0, abortAfterData: 0 }, 120),
      (options, steps) => {
        const world = begun(options);
        runHistory(world, resumeOperations, steps);
        return world.ends().every(end => end.finished || end.resetSeen === 'limit');
      },
    ),
    { numRuns: Math.ceil(runs / 3), includeErrorInReport: true },
  );
  t.pass();
});

/** Histories that once failed. */
const regressions: readonly { readonly name: string; readonly steps: readonly Step[] }[] = [
  {
    name: 'bytes before a RESET are not lost with the label that carried both',
    steps: [
      { what: 'write', side: 'mediator', pick: 0, amount: 1 },
      { what: 'abortAfterData', side: 'mediator', pick: 0, amount: 0 },
      { what: 'send', side: 'mediator', pick: 2, amount: 0 },
      { what: 'loseBoth', side: 'terminal', pick: 0, amount: 0 },
    ],
  },
  {
    name: 'the share of a stream that was aborted behind its bytes is given back',
    steps: [
      { what: 'write', side: 'terminal', pick: 0, amount: 1 },
      { what: 'abortAfterData', side: 'terminal', pick: 0, amount: 0 },
    ],
  },
  {
    name: 'a stream that was made, filled and aborted behind its bytes on a lost label comes whole on the next',
    steps: [
      { what: 'connect', side: 'mediator', pick: 0, amount: 0 },
      { what: 'write', side: 'mediator', pick: 2, amount: 50 },
      { what: 'abortAfterData', side: 'mediator', pick: 2, amount: 0 },
      { what: 'send', side: 'mediator', pick: 9, amount: 0 },
      { what: 'loseBoth', side: 'mediator', pick: 0, amount: 0 },
    ],
  },
  {
    name: 'no WINDOW goes before the message that creates an aborted stream anew',
    steps: [
      { what: 'lose', side: 'terminal', pick: 0, amount: 0 },
      { what: 'connect', side: 'mediator', pick: 0, amount: 0 },
      { what: 'abort', side: 'mediator', pick: 2, amount: 0 },
      { what: 'send', side: 'mediator', pick: 2, amount: 0 },
    ],
  },
];

for (const { name, steps } of regressions) {
  test(`P4: ${name}`, t => {
    t.notThrows(() => runHistory(begun({ creditBytes: 2 ** 50 }), resumeOperations, steps));
  });
}
