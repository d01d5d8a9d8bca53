import test from 'ava';
import { checkHistories, runHistory } from './testing/path/history.ts';
import { plainWorld, regressions, step } from './testing/path/regressions.ts';

/**
 * Terminals, server and mediator with all their machines, against plain byte queues and message lists (P1 to P4), while links
 * are cut behind any byte and processes die. testing/path/checks.ts says what must hold; `npm run fuzz` looks at more.
 */

for (const { name, ...history } of regressions) {
  test(`P4: ${name}`, async t => {
    await t.notThrowsAsync(() => runHistory(history));
  });
}

test('P2.3: what a server without room has unrouted goes on where it was, and nothing is lost', async t => {
  const options = { ...plainWorld, budgetBytes: 1 << 25, wireBytes: 512, limits: { queuedBytes: 40 * 1024 } };
  const connect = [step('connect'), step('connect'), step('exchange', 3)];
  // What the terminal writes on four streams comes to the server, and nothing leaves it.
  const fill = [3, 5, 7, 9].map(pick => step('write', pick, 60_000));
  const arrive = Array.from({ length: 500 }, () => step('arrive', 0, 512));
  const steps = [...connect, ...fill, ...arrive];
  const world = await runHistory({ options, steps });
  t.true(world.shed > 0);
  t.true(world.streams.every(({ terminal, mediator }) => terminal?.finished && mediator?.finished));
});

const flood = { pick: 2, count: 3, times: 40, bytes: 20_000 };
const send = Array.from({ length: flood.times }, () => step('datagrams', flood.pick, flood.bytes));
/** Everything that the terminal has comes to the server, and nothing leaves it. */
const toServer = Array.from({ length: 100 }, () => step('arrive', 0, 20_000));

for (const { where, steps } of [
  { where: 'terminal', steps: send },
  { where: 'server', steps: send.flatMap(one => [one, ...toServer.slice(0, 10)]) },
]) {
  test(`P2.3: of too many datagrams the ${where} drops some and counts them, the others arrive in order`, async t => {
    const world = await runHistory({ options: { ...plainWorld, wireBytes: 8192 }, steps });
    const [association] = world.associations;
    const heard = association?.datagrams.terminal.heard ?? 0;
    t.true(heard > 10 && heard < flood.times * flood.count, `${heard} arrived`);
    t.is(world.droppedDatagrams > 0, where === 'server');
  });
}

// In portions, since a busy machine takes its time for each.
for (let portion = 1; portion <= 20; portion++) {
  test.serial(
    `P1-P5: whatever is cut and whoever dies, bytes, messages and datagrams arrive once and in order, both ends tell one story, nothing is left (${portion})`,
    async t => {
      const { histories, streams, datagrams, resentBytes } = await checkHistories(500);
      t.is(histories, 500);
      t.true(streams > 700, `${streams} streams`);
      t.true(datagrams > 700, `${datagrams} datagrams`);
      t.true(resentBytes > 4_000, `${resentBytes} bytes went again`);
    },
  );
}
