// Bundles the programs into one file each (dist/bundle), with the addon beside them: a mediator loaded module by module
// idles heavier and starts slower.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './setup.mjs';

const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

/** ESM output has no `require`, which some packages inside want for Node's own modules. */
const requireBanner =
  "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);";

const programs = { entremise: 'src/cli/main.ts', 'entremise-mediator': 'src/cli/mediator-main.ts' };

/** What the result is dated, in seconds since 1970: the input's time, not the clock's; 0 where nobody knows it. */
export function epochS() {
  if (process.env.SOURCE_DATE_EPOCH) return Number(process.env.SOURCE_DATE_EPOCH);
  try {
    const stdio = ['ignore', 'pipe', 'ignore'];
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8', stdio }));
  } catch {
    return 0;
  }
}

/** Writes the program of that name as one file; gives esbuild's account of what went into it. */
export async function bundle(name, outfile) {
  const { metafile } = await build({
    entryPoints: [`${root}${programs[name]}`],
    outfile,
    bundle: true,
    metafile: true,
    absWorkingDir: root,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    minifyWhitespace: true,
    // A quarter of what a router stores. Without keepNames, whose calls cost a mediator 1 MB of heap: what a stack says is
    // found by building the same version again, byte for byte, with a source map.
    minifyIdentifiers: name === 'entremise-mediator',
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'warning',
    alias: { 'thread-stream': './scripts/no-log-worker.cjs' },
    external: ['@photostructure/sqlite', 'fastify', '@fastify/swagger', 'prom-client'],
    define: {
      __ENTREMISE_VERSION__: JSON.stringify(version),
      __ENTREMISE_BUILT_MS__: String(epochS() * 1000),
    },
    banner: { js: `#!/usr/bin/env node\n${requireBanner}` },
  });
  chmodSync(outfile, 0o755);
  return metafile;
}

async function bundleAll() {
  for (const name of Object.keys(programs)) await bundle(name, `${root}dist/bundle/${name}.mjs`);
  const addon = `${root}build/Release/entremise.node`;
  if (!existsSync(addon)) return;
  // Renamed into place: a program that has the old one loaded keeps it.
  const beside = `${root}dist/bundle/entremise.node`;
  copyFileSync(addon, `${beside}.new`);
  renameSync(`${beside}.new`, beside);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await bundleAll();
