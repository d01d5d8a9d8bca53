// npm test: installs what is missing, builds, and runs every test. Arguments go to ava (file patterns, --match ...).
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { build } from './build.mjs';
import { root, setUp } from './setup.mjs';

setUp(['build', 'network', 'peers']);
build();
const { status } = spawnSync(`${root}node_modules/.bin/ava`, process.argv.slice(2), {
  cwd: root,
  stdio: 'inherit',
});
process.exit(status ?? 1);
