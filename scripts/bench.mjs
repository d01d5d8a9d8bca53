// npm run bench -- <name> [--quick] [--json]: installs what is missing, builds, and measures (testbed/bench).
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { root, run, setUp } from './setup.mjs';

setUp(['build', 'network', 'peers', 'bench']);
// stdout is for the result alone.
run(process.execPath, ['scripts/build.mjs'], { stdio: ['ignore', process.stderr, process.stderr] });
const { status } = spawnSync(
  process.execPath,
  [`${root}dist/testbed/bench/main.js`, ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
