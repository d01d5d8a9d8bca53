import test from 'ava';
import { checkHistories, runHistory } from './testing/path/history.ts';
import { regressions } from './testing/path/regressions.ts';

/**
 * Terminals, server and mediator with all their machines, against plain byte queues and message lists (P1 to P4), while links
 * are cut behind any byte and processes die. testing/path/checks.ts says what must hold; `npm run fuzz` looks at more.
 */

for (const { name, ...history } of regressions) {
  test(`P4: ${name}`, async t => {
    await t.notThrowsAsync(() => runHistory(history));
  });
}

test('P1-P4: whatever is cut and whoever dies, bytes and messages arrive once and in order, both ends tell one story, nothing is left', async t => {
  const { histories, streams, resentBytes } = await checkHistories(1000);
  t.is(histories, 1000);
  t.true(streams > 1500, `${streams} streams`);
  t.true(resentBytes > 10_000, `${resentBytes} bytes went again`);
});
