// Builds everything: netns-test-helpers with its native programs, sources and tests, the addon, the bundles. Plain Node, no package needed to start.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { root, run } from './setup.mjs';

const bin = name => `${root}node_modules/.bin/${name}`;

/** Compiles, builds the addon, bundles the programs. */
export function build() {
  run(bin('tsc'), ['-p', 'testbed/netns-test-helpers']);
  run(bin('tsc'), ['-p', '.']);
  // Otherwise the first tests that want an impaired link would each compile it.
  run(process.execPath, ['testbed/netns-test-helpers/dist/compile-native.js']);
  run(process.execPath, ['scripts/build-native.mjs']);
  if (existsSync(`${root}scripts/bundle.mjs`)) run(process.execPath, ['scripts/bundle.mjs']);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) build();
