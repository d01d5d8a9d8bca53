import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { root } from '../testing/source-tree.ts';
import * as sdk from './index.ts';

test('docs/sdk.md names everything that the SDK exports', t => {
  const page = readFileSync(join(root, 'docs/sdk.md'), 'utf8');
  const names = Object.keys(sdk);
  t.true(names.includes('connectTerminal'));
  t.deepEqual(
    names.filter(name => !new RegExp(`\\b${name}\\b`).test(page)),
    [],
  );
});
