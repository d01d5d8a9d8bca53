import { execFile } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

const script = fileURLToPath(new URL('../../../scripts/fuzz-native.mjs', import.meta.url));

test('hostile packets and halves of datagrams do no harm to the C++ that reads them, a short run', async t => {
  t.timeout(300_000);
  const words = [script, '--runs', '5000', '--seed', '20', '--target', 'packet', '--target', 'parts'];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  t.is(stdout.match(/5000 runs|Done 5000 runs/g)?.length, 2, stdout);
});
