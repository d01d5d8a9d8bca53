// npm run fuzz:native [-- --runs N --seed N --target NAME]: hostile bytes for what the addon's C++ reads from a network,
// with AddressSanitizer and UndefinedBehaviorSanitizer. A target is a file of native/fuzz that defines
// LLVMFuzzerTestOneInput; its first line names the sources of native/ that it needs. With clang it is libFuzzer's own
// search, with g++ alone native/fuzz/driver.cc. Inputs to begin with are in native/fuzz/corpus/NAME.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'native/fuzz');
const notTargets = ['driver.cc'];

/** Names of all targets. */
function targets() {
  const files = readdirSync(folder).filter(name => name.endsWith('.cc') && !notTargets.includes(name));
  return files.map(name => basename(name, '.cc'));
}

function runs(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (status === 0) return;
  throw new Error(`${basename(command)} ended with ${error?.message ?? status}`);
}

const hasLibFuzzer = () =>
  spawnSync('clang++', ['-fsanitize=fuzzer', '-x', 'c++', '-', '-o', '/dev/null'], {
    input:
      '#include <stddef.h>\n#include <stdint.h>\nextern "C" int LLVMFuzzerTestOneInput(const uint8_t*, size_t) { return 0; }\n',
    stdio: ['pipe', 'ignore', 'ignore'],
  }).status === 0;

/** Compiles a target into `out` and returns its program. */
function compile(target, out, libFuzzer) {
  const source = join(folder, `${target}.cc`);
  const named = /^\/\/ sources:(.*)$/m.exec(readFileSync(source, 'utf8'))?.[1] ?? '';
  const sources = named
    .split(/\s+/)
    .filter(Boolean)
    .map(name => join(root, 'native', name));
  const headers = join(resolve(dirname(process.execPath), '..'), 'include/node');
  const program = join(out, target);
  const warnings = ['-Wall', '-Wextra', '-Werror'];
  runs(libFuzzer ? 'clang++' : 'g++', [
    ...['-std=c++17', '-O1', '-g', ...warnings, `-I${headers}`],
    ...[`-fsanitize=address,undefined${libFuzzer ? ',fuzzer' : ''}`, '-fno-sanitize-recover=all'],
    ...[source, ...sources, ...(libFuzzer ? [] : [join(folder, 'driver.cc')])],
    // OpenSSL is Node's in the addon; a program of its own takes the system's.
    ...['-l:libcrypto.so.3', '-o', program],
  ]);
  return program;
}

function feed(target, program, { count, seed, libFuzzer }) {
  const corpus = join(folder, 'corpus', target);
  const given = existsSync(corpus) ? [corpus] : [];
  if (!libFuzzer)
    return runs(program, [
      count,
      seed,
      ...given.flatMap(path => readdirSync(path).map(name => join(path, name))),
    ]);
  // What it finds goes into the first folder.
  const found = `${program}-found`;
  mkdirSync(found);
  runs(program, [`-runs=${count}`, `-seed=${seed}`, '-max_len=4096', found, ...given]);
}

function main() {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '2000000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      target: { type: 'string', multiple: true },
    },
  });
  const libFuzzer = hasLibFuzzer();
  mkdirSync(join(root, '.tmp'), { recursive: true });
  const out = mkdtempSync(join(root, '.tmp/fuzz-native-'));
  try {
    for (const target of values.target ?? targets()) {
      console.log(`fuzz-native: ${target}, seed ${values.seed}, ${libFuzzer ? 'libFuzzer' : 'own driver'}`);
      feed(target, compile(target, out, libFuzzer), { count: values.runs, seed: values.seed, libFuzzer });
    }
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

try {
  main();
} catch (failure) {
  console.error(`fuzz-native: ${failure.message}`);
  process.exitCode = 1;
}
