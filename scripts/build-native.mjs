// Builds the native addon (build/Release/entremise.node) with the pinned node-gyp. Plain Node, nothing else needed.
// The build runs in a folder of its own and the result is renamed into place: a process that has the old one
// loaded keeps it, and two builds at once do not meet.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const product = join(root, 'build/Release/entremise.node');

/** What has to be on the machine, and the Debian packages that bring it. */
const tools = { 'g++': 'g++', make: 'make', python3: 'python3' };

const runs = command => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

/** Ends with a sentence that says what to install when something is missing. */
export function checkCompiler() {
  const missing = Object.keys(tools).filter(command => !runs(command));
  if (missing.length === 0) return;
  throw new Error(
    `the native addon needs a C++ compiler, and ${missing.join(', ')} cannot be run; ` +
      `on Debian: apt-get install ${missing.map(command => tools[command]).join(' ')}`,
  );
}

/** The pinned node-gyp's program file. */
function nodeGyp() {
  try {
    return createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  } catch (cause) {
    throw new Error('node-gyp is not installed; run npm install first', { cause });
  }
}

/** Node's headers where they lie beside the running node; otherwise node-gyp has to download them. */
function nodeDirArguments() {
  const prefix = resolve(dirname(process.execPath), '..');
  return existsSync(join(prefix, 'include/node/node_api.h')) ? ['--nodedir', prefix] : [];
}

/** The environment without what npm put in: node-gyp takes npm_config_* for options of its own. */
function plainEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
}

/**
 * Compiles the addon in `folder` (emptied first) and returns the path of the .node file in it.
 * `flags` are given to the compiler and to the linker.
 */
export function compileIn(folder, flags = '') {
  checkCompiler();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const input of ['binding.gyp', 'native']) symlinkSync(join(root, input), join(folder, input));
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [nodeGyp(), 'rebuild', '--jobs', 'max', ...nodeDirArguments()],
    { cwd: folder, encoding: 'utf8', env: { ...plainEnvironment(), CXXFLAGS: flags, LDFLAGS: flags } },
  );
  if (status !== 0)
    throw new Error(`node-gyp failed${error ? `: ${error.message}` : ''}\n${stdout ?? ''}${stderr ?? ''}`);
  return join(folder, 'build/Release/entremise.node');
}

/** Everything whose change asks for a new build. */
function inputs() {
  const native = readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true });
  return [
    ...native.filter(entry => /\.(cc|h)$/.test(entry.name)).map(entry => join(entry.parentPath, entry.name)),
    join(root, 'binding.gyp'),
    join(root, 'node_modules/node-addon-api/package.json'),
  ].filter(file => existsSync(file));
}

function upToDate() {
  if (!existsSync(product)) return false;
  const builtAt = statSync(product).mtimeMs;
  return inputs().every(file => statSync(file).mtimeMs <= builtAt);
}

/** Builds build/Release/entremise.node unless it is newer than all that it is made of. */
export function buildNative() {
  if (upToDate()) return;
  const folder = join(root, `.tmp/native-${process.pid}`);
  const staged = `${product}.${process.pid}`;
  // What is edited while the compiler runs is newer than the result.
  const startedAt = new Date();
  try {
    const built = compileIn(folder);
    mkdirSync(dirname(product), { recursive: true });
    copyFileSync(built, staged);
    utimesSync(staged, startedAt, startedAt);
    renameSync(staged, product);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log('build-native: built build/Release/entremise.node');
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    buildNative();
  } catch (failure) {
    console.error(`build-native: ${failure.message}`);
    process.exitCode = 1;
  }
}
