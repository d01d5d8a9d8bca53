import test from 'ava';
import { EntremiseError } from '../../base/errors.ts';
import { runInside } from './inside.ts';

test('the process inside does nothing where it has not been put: it would take the machine’s own network apart', async t => {
  const error = await t.throwsAsync(runInside(), { instanceOf: EntremiseError });
  t.is(error.code, 'bad-usage');
});
