import type { ExecutionContext } from 'ava';
import { until } from 'netns-test-helpers';
import type { Load } from './load.ts';

/** A load that a test file shares; a test may replace it. */
export interface Loaded {
  readonly now: { readonly load: Load };
}

/** Breaks something, and waits until all streams and the commands move again, on the attachments that they had. */
export async function goesOn(
  t: ExecutionContext,
  { now: { load } }: Loaded,
  strike: () => Promise<unknown>,
): Promise<void> {
  await load.untilMoving();
  const before = await load.commandTotals();
  const startedAt = performance.now();
  await strike();
  await load.untilMoving(60_000);
  await until(async () => ((await load.commandTotals())?.answered ?? 0) > (before?.answered ?? 0), {
    what: 'a command to be answered',
    deadlineMs: 60_000,
  });
  t.log(`all move again ${Math.round(performance.now() - startedAt)} ms after the strike began`);
  const after = await load.commandTotals();
  t.is(after?.attachments, 1);
  t.deepEqual(after?.failed, {});
}
