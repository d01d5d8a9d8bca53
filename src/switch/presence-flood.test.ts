import test from 'ava';
import { generateSigningKey } from '../base/keys.ts';
import { presence } from '../wire/messages/report.ts';
import { frameType } from '../wire/spec.ts';
import { Lab, until } from './testing/lab.ts';

test('P1.8: who subscribes over and over is answered, but does not make the server work for each time', async t => {
  const lab = new Lab();
  t.teardown(() => lab.end());
  for (let count = 0; count < 5; count++)
    lab.records.set(generateSigningKey().text, { statement: 'statement', report: undefined, lastSeenMs: 1 });
  const terminal = await lab.member({ role: 'terminal' });
  for (let count = 0; count < 1_000; count++)
    terminal.sendRaw(frameType.presence, 0, 0, presence.toBytes({ subscribe: count % 3 !== 1 }));
  const complete = () => terminal.presence.filter(message => message.complete === true).length;
  await until(() => complete() === 1, 'the first answer is complete');
  await lab.pass(300);
  await until(() => complete() === 2, 'the answer comes once more');
  const entries = terminal.presence.flatMap(message => message.entries ?? []);
  t.is(entries.length, 10);
  t.true(terminal.link.driver.live);
});
