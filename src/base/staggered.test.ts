import test from 'ava';
import { fakeClock } from './clock.ts';
import { type Deferred, deferred } from './deferred.ts';
import { firstOf } from './staggered.ts';

function race(count: number) {
  const clock = fakeClock();
  const begun: number[] = [];
  const given: AbortSignal[] = [];
  const discarded: string[] = [];
  const ends = Array.from({ length: count }, (): Deferred<string> => deferred());
  const abort = new AbortController();
  const attempts = ends.map((end, at) => (signal: AbortSignal) => {
    begun.push(at);
    given.push(signal);
    return end.promise;
  });
  const { signal } = abort;
  const options = { clock, delayMs: 250, signal, discard: (late: string) => discarded.push(late) };
  return { clock, begun, given, discarded, ends, abort, result: firstOf<string>(attempts, options) };
}

const turn = () => new Promise(setImmediate);

test('the next attempt begins after the delay, and the first that succeeds wins; the others are told', async t => {
  const { clock, begun, given, discarded, ends, result } = race(3);
  clock.advance(249);
  t.deepEqual(begun, [0]);
  clock.advance(1);
  t.deepEqual(begun, [0, 1]);
  ends[1]?.resolve('second');
  t.is(await result, 'second');
  t.true(given.every(({ aborted }) => aborted));
  clock.advance(10_000);
  t.deepEqual(begun, [0, 1]);
  ends[0]?.resolve('first');
  await turn();
  t.deepEqual(discarded, ['first']);
});

test('after a failure the next begins at once, unless another is under way', async t => {
  const { clock, begun, ends, result } = race(3);
  ends[0]?.reject(new Error('no'));
  await turn();
  t.deepEqual(begun, [0, 1]);
  clock.advance(250);
  t.deepEqual(begun, [0, 1, 2]);
  ends[2]?.resolve('third');
  t.is(await result, 'third');
});

test('when all fail, what each said is told in their order', async t => {
  const { ends, result } = race(2);
  ends[0]?.reject(new Error('first'));
  await turn();
  ends[1]?.reject(new Error('second'));
  const error = await t.throwsAsync<AggregateError>(result);
  t.deepEqual(
    error?.errors.map(({ message }: Error) => message),
    ['first', 'second'],
  );
});

test('when all is given up, nothing more begins', async t => {
  const { clock, begun, given, abort, result } = race(3);
  abort.abort();
  await t.throwsAsync(result, { instanceOf: AggregateError });
  t.true(given[0]?.aborted);
  clock.advance(10_000);
  t.deepEqual(begun, [0]);
});
