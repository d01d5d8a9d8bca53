import test from 'ava';
import { fakeClock } from './clock.ts';
import { memoryFacts } from './memory-facts.ts';
import { MemoryKeeper, type MemoryThrift, serverThrift } from './memory-keeper.ts';

const mib = 1024 * 1024;

function scene(thrift?: MemoryThrift) {
  const state = { resident: 50 * mib, least: 50 * mib, busy: 0, collected: 0 };
  const clock = fakeClock();
  const keeper = new MemoryKeeper(
    {
      ownBytes: () => state.resident,
      busyShare: () => state.busy,
      collect() {
        state.collected++;
        state.resident = state.least;
      },
    },
    clock,
    thrift,
  );
  keeper.start();
  clock.advance(2000);
  return { state, clock, keeper };
}

test('what the start and each load leave behind is collected once, when it is quiet', t => {
  const { state, clock } = scene();
  t.is(state.collected, 1);
  clock.advance(60_000);
  t.is(state.collected, 1);
  Object.assign(state, { resident: 80 * mib, busy: 0.9 });
  clock.advance(60_000);
  t.is(state.collected, 1);
  state.busy = 0.01;
  clock.advance(2000);
  t.is(state.collected, 2);
  t.is(state.resident, 50 * mib);
});

test('memory that is in use is not collected over and over', t => {
  const { state, clock } = scene();
  Object.assign(state, { resident: 80 * mib, least: 70 * mib });
  clock.advance(60_000);
  t.is(state.collected, 2);
});

test('the end of a load is collected though nothing has grown since, and no more often than worth it', t => {
  const { state, clock } = scene();
  clock.advance(4000);
  state.busy = 0.1;
  clock.advance(2000);
  state.busy = 0;
  clock.advance(60_000);
  t.is(state.collected, 2);
  for (let turn = 0; turn < 10; turn++) {
    state.busy = turn % 2;
    clock.advance(2000);
  }
  t.is(state.collected, 6);
});

test('a server collects the end of a load, and not what a few links make', t => {
  const { state, clock } = scene(serverThrift);
  state.resident = 60 * mib;
  clock.advance(60_000);
  t.is(state.collected, 1);
  state.busy = 0.9;
  clock.advance(2000);
  state.busy = 0;
  clock.advance(2000);
  t.is(state.collected, 2);
});

test('a keeper that was stopped does nothing', t => {
  const { state, clock, keeper } = scene();
  keeper.stop();
  state.resident = 90 * mib;
  clock.advance(60_000);
  t.is(state.collected, 1);
});

test('the facts of this process are plausible', t => {
  const calls: string[] = [];
  const facts = memoryFacts(() => calls.push('collect'));
  t.true(facts.ownBytes() > mib);
  t.true(facts.busyShare() >= 0 && facts.busyShare() <= 1);
  facts.collect();
  t.deepEqual(calls, ['collect']);
});
