// npm run demo: installs what is missing, builds, and runs the demonstration in network namespaces.
//   -- --stay      leaves it up and says what to try by hand
//   -- --teardown  removes what --stay left
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { build } from './build.mjs';
import { root, setUp } from './setup.mjs';

const words = process.argv.slice(2);
if (words.some(word => !['--stay', '--teardown', '--help'].includes(word)) || words.includes('--help')) {
  console.error('Usage: npm run demo [-- --stay | --teardown]');
  process.exit(words.includes('--help') ? 0 : 2);
}
setUp(['build', 'network', 'peers']);
build();
const { status } = spawnSync(process.execPath, [`${root}dist/testbed/demo/demo.js`, ...words], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(status ?? 1);
