// npm run test:openwrt: the packages with addons that are really cross-built, for one architecture of each CPU family; twice,
// from two folders, and what each addon wants of the router. Downloads the cross compiler (73 MB) at the first run.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { root, setUp } from './setup.mjs';

setUp(['build', 'router']);

/** By architecture: what readelf calls the machine. */
const machines = {
  x86_64: 'Advanced Micro Devices X86-64',
  'aarch64_cortex-a53': 'AArch64',
  'arm_cortex-a7_neon-vfpv4': 'ARM',
};

/** Names that Node itself has for its addons. */
const ofNode = /^(napi_|node_api_|uv_|EVP_|OPENSSL_|CRYPTO_|ERR_|RAND_)/;

/** False for names of a C++ runtime, which no package that this one depends on has for it. */
const isNotOfCpp = name => !/^(_ZN|_ZS|_ZT|__cxa|__gxx|_Unwind|__gnu|__.*_chk$)/.test(name);

let failures = 0;
function check(holds, claim) {
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${claim}`);
  if (!holds) failures++;
}

const run = (command, args, options = {}) =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28, ...options });

/** A checkout elsewhere, so that no path of it may show in the bytes. */
function copyOfCheckout(folder) {
  for (const path of ['scripts', 'openwrt', 'native', 'src', 'binding.gyp', 'package.json', 'LICENSE'])
    cpSync(join(root, path), join(folder, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
}

function packagesIn(checkout, out) {
  const words = Object.keys(machines).flatMap(arch => ['--arch', arch]);
  const script = join(checkout, 'scripts/package-openwrt.mjs');
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1' };
  const stdio = ['ignore', 'pipe', 'inherit'];
  return JSON.parse(run(process.execPath, [script, '--json', '--out', out, ...words], { env, stdio }))
    .packages;
}

function checkAddon(arch, addon) {
  const elf = run('readelf', ['--wide', '--file-header', '--dynamic', '--dyn-syms', addon]);
  check(
    elf.includes(`Machine:                           ${machines[arch]}`),
    `${arch}: is for ${machines[arch]}`,
  );
  const needed = [...elf.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
  check(needed.join() === 'libc.so', `${arch}: needs musl's libc.so and no other library (${needed})`);
  const wanted = [...elf.matchAll(/ UND (\S+)/g)].map(([, name]) => name.split('@')[0]);
  const foreign = wanted.filter(name => !ofNode.test(name) && !isNotOfCpp(name));
  check(foreign.length === 0, `${arch}: wants nothing of a C++ runtime (${foreign.join(' ')})`);
  check(/ napi_register_module_v1/.test(elf), `${arch}: registers itself as an addon`);
  const text = readFileSync(addon, 'latin1');
  check(
    !text.includes(root) && !text.includes('/node_modules/'),
    `${arch}: names no place of the build machine`,
  );
}

const work = mkdtempSync(join(tmpdir(), 'entremise-test-openwrt-'));
try {
  const elsewhere = join(work, 'elsewhere');
  copyOfCheckout(elsewhere);
  const first = packagesIn(root, join(work, 'first'));
  packagesIn(elsewhere, join(work, 'second'));
  for (const { arch, apk, ipk, router, installed_by_part_kib } of first) {
    checkAddon(arch, join(apk.folder, 'files/usr/lib/entremise/entremise.node'));
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
