// Builds everything: netns-test-helpers, the sources and tests, the addon, the bundles. Plain Node, no package needed to start.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import process from 'node:process';

const root = new URL('..', import.meta.url).pathname;

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) {
    console.error(`build: ${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
    process.exit(1);
  }
}

const bin = name => `${root}node_modules/.bin/${name}`;
if (existsSync(`${root}testbed/netns-test-helpers/tsconfig.json`))
  run(bin('tsc'), ['-p', 'testbed/netns-test-helpers']);
run(bin('tsc'), ['-p', '.']);
