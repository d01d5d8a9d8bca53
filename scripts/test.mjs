// npm test: installs what is missing, builds, and runs every test. Arguments go to ava (file patterns, --match ...).
// Without root the tests run in a user namespace, where most of them work; what does not is skipped with its reason.
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { build } from './build.mjs';
import { root, setUp } from './setup.mjs';

setUp(['build', 'network', 'peers', 'router', 'browser']);
build();

const { labSupport, sweep, userNamespaceCommand } = await import('netns-test-helpers');
const ava = [process.execPath, `${root}node_modules/ava/entrypoints/cli.mjs`, ...process.argv.slice(2)];
const support = await labSupport();
const inside = support.ok && support.how === 'userns' ? userNamespaceCommand(ava) : ava;
if (!support.ok) console.error(`Tests that need network namespaces are skipped: ${support.reason}`);
else if (support.how === 'userns') console.error('Not root: the tests run in a user namespace of their own.');

const [command, ...words] = inside;
const { status } = spawnSync(command, words, { cwd: root, stdio: 'inherit' });
// Worker threads get no signals, so labs of an interrupted run are removed here.
if (support.ok && support.how === 'root') await sweep();
process.exit(status ?? 1);
