// npm run test:openwrt: the packages with addons that are really cross-built, for one architecture of each CPU family; twice,
// from two folders, and what each addon wants of the router. Downloads the cross compiler (73 MB) at the first run.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { loadWithMusl } from './openwrt/musl.mjs';
import { root, setUp } from './setup.mjs';

setUp(['build', 'router', 'machines']);

/** By architecture: what readelf calls the machine. */
const machines = {
  x86_64: 'Advanced Micro Devices X86-64',
  'aarch64_cortex-a53': 'AArch64',
  'arm_cortex-a7_neon-vfpv4': 'ARM',
};

const run = (command, args, options = {}) =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28, ...options });

/** Names that Node itself has for its addons: all that this Node shows, for it has the same on every machine. */
const namesOfNode = new Set(
  symbolsIn(run('readelf', ['--wide', '--dyn-syms', process.execPath]))
    .filter(({ section }) => section !== 'UND')
    .map(({ name }) => name)
    .filter(name => /^(napi_|node_api_|uv_|EVP_|OPENSSL_|CRYPTO_|ERR_|RAND_)/.test(name)),
);

/** False for names of a C++ runtime, which no package that this one depends on has for it. */
const isNotOfCpp = name => !/^(_ZN|_ZS|_ZT|__cxa|__gxx|_Unwind|__gnu|__.*_chk$)/.test(name);

let failures = 0;
function check(holds, claim) {
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${claim}`);
  if (!holds) failures++;
}

/** A checkout elsewhere, so that no path of it may show in the bytes. Packages are linked: copies would be 250 MB. */
function copyOfCheckout(folder) {
  for (const path of ['scripts', 'openwrt', 'native', 'src', 'binding.gyp', 'package.json', 'LICENSE'])
    cpSync(join(root, path), join(folder, path), { recursive: true });
  // A link to the folder as a whole would show: esbuild names modules by where they really are.
  run('cp', ['--archive', '--link', join(root, 'node_modules'), folder]);
}

function packagesIn(checkout, out) {
  const words = Object.keys(machines).flatMap(arch => ['--arch', arch]);
  const script = join(checkout, 'scripts/package-openwrt.mjs');
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1' };
  const stdio = ['ignore', 'pipe', 'inherit'];
  return JSON.parse(run(process.execPath, [script, '--json', '--out', out, ...words], { env, stdio }))
    .packages;
}

/** Of readelf's table of dynamic symbols: where each is, and its name without a version. */
function symbolsIn(elf) {
  const lines = elf.matchAll(/^ *\d+: [0-9a-f]+ +\d+ \S+ +\S+ +\S+ +(\S+) (\S+)/gm);
  return [...lines].map(([, section, name]) => ({ section, name: name.split('@')[0] }));
}

function checkAddon(arch, addon, work) {
  const elf = run('readelf', ['--wide', '--file-header', '--dynamic', '--dyn-syms', addon]);
  check(
    elf.includes(`Machine:                           ${machines[arch]}`),
    `${arch}: is for ${machines[arch]}`,
  );
  const needed = [...elf.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
  check(needed.join() === 'libc.so', `${arch}: needs musl's libc.so and no other library (${needed})`);
  const symbols = symbolsIn(elf);
  const wanted = symbols.filter(({ section }) => section === 'UND').map(({ name }) => name);
  const ofNode = wanted.filter(name => namesOfNode.has(name));
  const foreign = wanted.filter(name => !namesOfNode.has(name) && !isNotOfCpp(name));
  check(foreign.length === 0, `${arch}: wants nothing of a C++ runtime (${foreign.join(' ')})`);
  const shown = symbols.filter(({ section }) => section !== 'UND').map(({ name }) => name);
  const expected = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
  check(shown.toSorted().join() === expected.join(), `${arch}: shows what Node looks for alone (${shown})`);
  const loaded = loadWithMusl(arch, addon, ofNode, work);
  check(loaded === 'loaded', `${arch}: musl finds every name in itself or in Node (${loaded})`);
  const text = readFileSync(addon, 'latin1');
  check(
    !text.includes(root) && !text.includes('/node_modules/'),
    `${arch}: names no place of the build machine`,
  );
}

mkdirSync(join(root, '.tmp'), { recursive: true });
const work = mkdtempSync(join(root, '.tmp/test-openwrt-'));
try {
  const elsewhere = join(work, 'elsewhere');
  copyOfCheckout(elsewhere);
  const first = packagesIn(root, join(work, 'first'));
  packagesIn(elsewhere, join(work, 'second'));
  for (const { arch, apk, ipk, router, installed_by_part_kib } of first) {
    checkAddon(arch, join(apk.folder, 'files/usr/lib/entremise/entremise.node'), work);
    const same = readFileSync(ipk).equals(readFileSync(ipk.replace('/first/', '/second/')));
    check(same, `${arch}: two builds in two folders are the same bytes`);
    check(router.ipk_kib <= 400, `${arch}: router.ipk_kib ${router.ipk_kib} <= 400`);
    const parts = JSON.stringify(installed_by_part_kib);
    check(
      router.installed_kib <= 900,
      `${arch}: router.installed_kib ${router.installed_kib} <= 900 ${parts}`,
    );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;
