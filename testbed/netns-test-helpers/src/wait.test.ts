import test from 'ava';
import { LabError } from './errors.ts';
import { until } from './wait.ts';

test('until gives the first truthy answer and asks no more', async t => {
  const answers = [false, undefined, null, 0, '', 'here', 'never asked'];
  t.is(await until(() => answers.shift(), { what: 'an answer', intervalMs: 1 }), 'here');
  t.deepEqual(answers, ['never asked']);
});

test('until asks at once, without a first pause', async t => {
  t.is(await until(() => 'now', { what: 'now', deadlineMs: 0, intervalMs: 60_000 }), 'now');
});

test('a wait in vain says what for, how long, the last answer, and the explanation', async t => {
  const error = await t.throwsAsync(
    until(() => 0, { what: 'the moon', deadlineMs: 5, intervalMs: 1, explain: () => 'clouds' }),
    { instanceOf: LabError, code: 'deadline' },
  );
  t.regex(error?.message ?? '', /^waited \d+ ms \(\d+ tries\) for the moon\nlast answer: 0\nclouds$/);
});

test('a predicate that throws is asked again, and its last error becomes the cause', async t => {
  let tries = 0;
  const flaky = () => {
    tries += 1;
    if (tries < 3) throw new Error(`try ${tries}`);
    return tries;
  };
  t.is(await until(flaky, { what: 'the third try', intervalMs: 1 }), 3);

  const cause = new Error('broken');
  const error = await t.throwsAsync(
    until(() => Promise.reject(cause), { what: 'a repair', deadlineMs: 5, intervalMs: 1 }),
    { code: 'deadline', message: /last error: Error: broken/ },
  );
  t.is(error?.cause, cause);
});

test('an explanation that fails does not hide the failure', async t => {
  const explain = () => Promise.reject(new Error('no pcap'));
  await t.throwsAsync(
    until(() => false, { what: 'rain', deadlineMs: 0, explain }),
    {
      code: 'deadline',
      message: /for rain\n.*\n\(no explanation: Error: no pcap\)/,
    },
  );
});

test('waiting for a destroyed lab ends at once', async t => {
  const gone = () => Promise.reject(new LabError('destroyed', 'lab x has been destroyed'));
  await t.throwsAsync(until(gone, { what: 'its return', deadlineMs: 60_000 }), { code: 'destroyed' });
});
