// npm run test:node -- 22 [ava arguments]: the tests of src with another Node, from npm's package `node`, which is put in
// a folder of its own. Namespace tests start programs by names and paths of this machine's Node: they stay with it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { build } from './build.mjs';
import { root, run, setUp } from './setup.mjs';

const [major = '', ...words] = process.argv.slice(2);
if (!/^\d+$/.test(major)) {
  console.error('Which Node? npm run test:node -- 22');
  process.exit(2);
}

const folder = join(root, '.tmp', `node-${major}`);
const node = join(folder, 'node_modules/node/bin/node');

setUp(['build']);
if (!existsSync(node)) {
  mkdirSync(folder, { recursive: true });
  const quiet = ['--no-audit', '--no-fund', '--no-save', '--loglevel=error'];
  run('npm', ['install', '--prefix', folder, ...quiet, `node@${major}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
build();
run(node, ['--version']);
const files = words.length > 0 ? words : ['dist/src/**/*.test.js'];
const { status } = spawnSync(node, [join(root, 'node_modules/ava/entrypoints/cli.mjs'), ...files], {
  cwd: root,
  stdio: 'inherit',
  // Programs that tests start by name are to be that Node, too.
  env: { ...process.env, PATH: `${join(folder, 'node_modules/node/bin')}:${process.env.PATH}` },
});
process.exit(status ?? 1);
