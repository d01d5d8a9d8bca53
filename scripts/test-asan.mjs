// Builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer in a folder of its own and runs the native
// tests with it. `npm run test:asan -- <ava arguments>` passes arguments on.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { compileIn } from './build-native.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const flags = '-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g';

/** The fuzzers have sanitizers of their own, and their compiler needs none. */
const nativeTests = [
  'dist/src/native/**/*.test.js',
  '!dist/src/native/fuzz-native.test.js',
  'dist/src/relay/native-relay.test.js',
];

/** The compiler's own copy of a sanitizer's library: node is not linked with it, so it has to be loaded first. */
function libraryOf(name) {
  const { stdout } = spawnSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  const path = stdout?.trim() ?? '';
  if (!isAbsolute(path))
    throw new Error(`the compiler has no ${name}; on Debian it comes with g++ (libasan, libubsan)`);
  return path;
}

function run() {
  const ava = join(root, 'node_modules/ava/entrypoints/cli.mjs');
  if (!existsSync(join(root, 'dist/src/native')))
    throw new Error('nothing is built; run npm run build first');
  const preload = ['libasan.so', 'libubsan.so'].map(libraryOf).join(':');
  const addon = compileIn(join(root, '.tmp/native-asan'), flags);
  const environment = {
    ...process.env,
    ENTREMISE_ADDON: addon,
    LD_PRELOAD: preload,
    // V8 frees nothing at exit, so every run would be full of leaks.
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
  const given = process.argv.slice(2);
  const args = given.length > 0 ? given : nativeTests;
  return spawnSync(process.execPath, [ava, ...args], { cwd: root, stdio: 'inherit', env: environment })
    .status;
}

try {
  process.exitCode = run() ?? 1;
} catch (failure) {
  console.error(`test-asan: ${failure.message}`);
  process.exitCode = 1;
}
