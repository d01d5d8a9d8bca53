// npm run soak -- [--minutes N] [--seed S]: installs what is missing, builds, and lets things go wrong (testbed/soak).
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { root, run, setUp } from './setup.mjs';

setUp(['build', 'network', 'peers']);
// stdout is for the result alone.
run(process.execPath, ['scripts/build.mjs'], { stdio: ['ignore', process.stderr, process.stderr] });
const { status } = spawnSync(
  process.execPath,
  [`${root}dist/testbed/soak/main.js`, ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
