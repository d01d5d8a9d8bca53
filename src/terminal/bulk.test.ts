import test, { type ExecutionContext } from 'ava';
import { deferred } from '../base/deferred.ts';
import { type BulkOptions, type BulkResult, runBulk, selectMediators } from './bulk.ts';
import type { MediatorAttachment } from './mediator-attachment.ts';
import { eventually } from './testing/eventually.ts';
import { lab } from './testing/lab.ts';
import { reasonOf } from './tunnel-error.ts';

type Result = BulkResult<string>;

async function bulkLab(t: ExecutionContext) {
  const { terminal, server } = await lab(t);
  await terminal.ready();
  const results: Result[] = [];
  const stop = new AbortController();
  const run = (options: Partial<BulkOptions<string>>) =>
    runBulk(terminal, {
      mediators: ['gw-1'],
      work: async () => 'done',
      concurrency: 4,
      attempts: 3,
      timeoutMs: 20_000,
      onResult: result => results.push(result),
      signal: stop.signal,
      ...options,
    });
  return { terminal, server, results, run, stop };
}

const reasons = (results: readonly Result[]) =>
  results.map(result => [
    result.mediator,
    result.attempts,
    result.ok ? result.value : reasonOf(result.error),
  ]);

test('a result for each, and what another try would only hear again is tried once', async t => {
  const { results, run } = await bulkLab(t);
  await run({ mediators: ['gw-1', 'nobody'] });
  t.deepEqual(reasons(results).sort(), [
    ['gw-1', 1, 'done'],
    ['nobody', 1, 'grant-missing'],
  ]);
});

test('what fails is tried again behind the others, as often as is said', async t => {
  const { results, run } = await bulkLab(t);
  const order: string[] = [];
  let tries = 0;
  const work = async ({ peer }: MediatorAttachment) => {
    order.push(peer.mediator);
    if (++tries < 3) throw new Error('not yet');
    return 'at last';
  };
  await run({ work, concurrency: 1 });
  t.deepEqual(reasons(results), [['gw-1', 3, 'at last']]);
  tries = -10;
  await run({ work, concurrency: 1, attempts: 2 });
  t.deepEqual(reasons(results)[1], ['gw-1', 2, 'internal']);
});

test('no more at once than was said', async t => {
  const { results, run } = await bulkLab(t);
  const gate = deferred<void>();
  let [running, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++running);
    await gate.promise;
    running--;
    return 'done';
  };
  const all = run({ mediators: Array.from({ length: 9 }, () => 'gw-1'), work, concurrency: 3 });
  await eventually('three run', () => running === 3);
  gate.resolve();
  await all;
  t.is(most, 3);
  t.is(results.length, 9);
});

test('a try that takes too long is timed-out, and its attachment is ended', async t => {
  const { results, run, server } = await bulkLab(t);
  const work = (_attachment: MediatorAttachment, signal: AbortSignal) =>
    new Promise<string>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  await run({ work, attempts: 1, timeoutMs: 300 });
  t.deepEqual(reasons(results), [['gw-1', 1, 'timed-out']]);
  await eventually('DETACH', () => server.detached.length === 1);
});

test('once it is stopped nothing more is begun, and nobody is told of what was not tried', async t => {
  const { results, run, stop } = await bulkLab(t);
  let begun = 0;
  const work = async () => {
    begun++;
    stop.abort();
    return 'done';
  };
  await run({ mediators: Array.from({ length: 5 }, () => 'gw-1'), work, concurrency: 1 });
  t.deepEqual([begun, results.length], [1, 0]);
});

test('mediators are chosen by labels, names, services and being online, and only verified ones', async t => {
  const { terminal } = await bulkLab(t);
  const [known] = terminal.mediators();
  if (known === undefined) return t.fail();
  const one = { ...known, name: 'a', labels: ['voip', 'north'] };
  const other = { ...known, name: 'b', labels: ['voip'], online: false };
  const stranger = { ...one, name: 'c', verified: false };
  const names = (selection: Parameters<typeof selectMediators>[1]) =>
    selectMediators([one, other, stranger], selection).map(({ name }) => name);
  t.deepEqual(names({}), ['a', 'b']);
  t.deepEqual(names({ labels: ['voip', 'north'] }), ['a']);
  t.deepEqual(names({ online: true }), ['a']);
  t.deepEqual(names({ names: ['b', 'c'] }), ['b']);
  t.deepEqual(names({ service: 'voip' }), []);
});
