import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { whereLabsWork } from './fixtures/harness.ts';
import * as index from './index.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

whereLabsWork("the README's example runs and says what it promises", async t => {
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  // Within its own folder the package can import itself by name, as its users do.
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const argv = ['--input-type=module'];
  const ran = spawnSync(process.execPath, argv, { cwd, input: code, encoding: 'utf8', timeout: 30_000 });
  t.is(ran.status, 0, ran.stderr);
  t.regex(ran.stdout, /the server saw 203\.0\.113\.2, not 192\.168\.1\.10\n$/);
  t.regex(ran.stdout, /^\| device .*---- \| router .*---- \| server /m);
});

test('every function of the package is in the README', t => {
  const missing = Object.keys(index).filter(name => !readme.includes(name));
  t.deepEqual(missing, ['inUserNamespace', 'readStateFile']);
});
