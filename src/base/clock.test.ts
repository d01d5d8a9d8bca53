import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { fakeClock, systemClock } from './clock.ts';

const turn = () => new Promise(resolve => setImmediate(resolve));
const thirtyDaysMs = 30 * 24 * 3_600_000;

test('what is farther away than a timer of Node can wait does not run at once', async t => {
  const ran: string[] = [];
  const cancel = systemClock.after(thirtyDaysMs, () => ran.push('in thirty days'));
  systemClock.after(10, () => ran.push('soon'));
  while (ran.length === 0) await turn();
  t.deepEqual(ran, ['soon']);
  cancel();
});

test('what is cancelled does not run', async t => {
  const ran: string[] = [];
  const cancel = systemClock.after(1, () => ran.push('cancelled'));
  systemClock.after(5, () => ran.push('later'));
  cancel();
  while (ran.length === 0) await turn();
  t.deepEqual(ran, ['later']);
});

/** Weak references to what two waits were about, of which one was called off and one is over; and how to call them off. */
async function waitsThatAreOver() {
  const [calledOff, done] = [{ ran: false }, { ran: false }];
  const cancels = [
    systemClock.after(60_000, () => {
      calledOff.ran = true;
    }),
    systemClock.after(0, () => {
      done.ran = true;
    }),
  ];
  cancels[0]?.();
  while (!done.ran) await turn();
  return { kept: [new WeakRef(calledOff), new WeakRef(done)], cancels };
}

test('what was called off, or has run, is let go of, though who may call it off is still there', async t => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  const { kept, cancels } = await waitsThatAreOver();
  await turn();
  if (typeof collect === 'function') collect();
  t.deepEqual(
    kept.map(each => each.deref()),
    [undefined, undefined],
  );
  t.is(cancels.length, 2);
});

test('nothing runs before its time, though the turn in which it was asked for had already taken long', async t => {
  const busyUntilMs = systemClock.now() + 20;
  while (systemClock.now() < busyUntilMs);
  const dueMs = systemClock.now() + 5;
  let ranMs: number | undefined;
  systemClock.after(5, () => {
    ranMs = systemClock.now();
  });
  while (ranMs === undefined) await turn();
  t.true(ranMs >= dueMs, `${dueMs - ranMs} ms early`);
});

test('a fake clock runs what falls due in the order of its time, what is added on the way too', t => {
  const clock = fakeClock(1000);
  const ran: string[] = [];
  clock.after(20, () => ran.push(`b ${clock.now()}`));
  clock.after(10, () => {
    ran.push(`a ${clock.now()}`);
    clock.after(5, () => ran.push(`a2 ${clock.now()}`));
  });
  const cancel = clock.after(12, () => ran.push('never'));
  cancel();
  clock.advance(19);
  t.deepEqual(ran, ['a 10', 'a2 15']);
  clock.advance(1);
  t.deepEqual(ran, ['a 10', 'a2 15', 'b 20']);
  t.is(clock.wallTimeMs(), 1020);
});
