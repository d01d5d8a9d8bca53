// npm run package:openwrt -- --arch ARCH [--arch ARCH ...] [--out FOLDER] [--addon FILE] [--source] [--json]
//
// The mediator for OpenWRT: an .ipk and the tree of an .apk for each architecture, from one staged tree, and its LuCI page
// for all of them; with --source the archive that the feed's Makefile (openwrt/entremise-mediator) is built from. The
// same input gives the same bytes.
// --addon takes a .node that is built already instead of cross-building one.
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { bundle, epochS } from './bundle.mjs';
import { crossBuild, headerFolders, targetOf } from './openwrt/addon.mjs';
import { packApk } from './openwrt/apk.mjs';
import { tarGz } from './openwrt/archive.mjs';
import { packIpk } from './openwrt/ipk.mjs';
import { licensesOf } from './openwrt/licenses.mjs';
import { readRecipe } from './openwrt/recipe.mjs';
import { filesOf, stage } from './openwrt/tree.mjs';
import { root } from './setup.mjs';

const feed = join(root, 'openwrt/entremise-mediator');
const page = join(root, 'openwrt/luci-app-entremise');

const { values } = parseArgs({
  options: {
    arch: { type: 'string', multiple: true, default: [] },
    out: { type: 'string', default: join(root, 'dist/openwrt') },
    addon: { type: 'string' },
    source: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const kib = bytes => Math.round((bytes / 1024) * 10) / 10;

/** What an installation takes, by part. */
function partsOf(tree) {
  const bytes = { program: 0, addon: 0, licenses: 0, scripts: 0 };
  const partOf = path =>
    ({ 'entremise-mediator.mjs': 'program', 'entremise.node': 'addon', LICENSES: 'licenses' })[
      basename(path)
    ] ?? 'scripts';
  for (const file of filesOf(tree)) bytes[partOf(file.path)] += file.bytes;
  return Object.fromEntries(Object.entries(bytes).map(([part, sum]) => [part, kib(sum)]));
}

async function makeProgram(work) {
  const program = { bundle: join(work, 'entremise-mediator.mjs'), licenses: join(work, 'LICENSES') };
  writeFileSync(program.licenses, licensesOf(await bundle('entremise-mediator', program.bundle)));
  return program;
}

/** Both kinds of package of a staged tree. */
function pack({ recipe, arch, tree, folder, out }) {
  const common = { recipe, arch, tree, out, epochS: epochS() };
  rmSync(join(out, `apk-${arch}`), { recursive: true, force: true });
  const ipk = packIpk({ ...common, work: join(folder, 'ipk') });
  return {
    arch,
    ipk,
    apk: packApk(common),
    router: {
      ipk_kib: kib(statSync(ipk).size),
      installed_kib: kib(filesOf(tree).reduce((sum, { bytes }) => sum + bytes, 0)),
    },
  };
}

function packageFor(arch, { recipe, program, work, out }) {
  if (targetOf(arch) === undefined)
    throw new Error(
      `${arch} is none of x86_64, aarch64_*, arm_*_neon, arm_*_neon-vfpv4, arm_*_vfpv3: others have no Node, or need the SDK (docs/openwrt.md)`,
    );
  const folder = join(work, arch);
  mkdirSync(folder);
  const addon = values.addon === undefined ? join(folder, 'entremise.node') : resolve(values.addon);
  if (values.addon === undefined) crossBuild(arch, addon);
  const tree = join(folder, 'tree');
  stage({ recipe, folders: [[join(feed, 'files'), '.']], program: { ...program, addon }, tree });
  const packed = pack({ recipe, arch, tree, folder, out });
  return { ...packed, installed_by_part_kib: partsOf(tree) };
}

/** LuCI's page: text that every router reads. */
function packageOfPage({ work, out }) {
  const folder = join(work, 'page');
  const tree = join(folder, 'tree');
  const recipe = readRecipe(join(page, 'Makefile'));
  const folders = [
    [join(page, 'htdocs'), 'www'],
    [join(page, 'root'), '.'],
  ];
  stage({ recipe, folders, tree });
  return pack({ recipe, arch: 'all', tree, folder, out });
}

/** The feed's source: what its Makefile builds from, with all headers, so that nothing of a target's Node is needed. */
function makeSource({ recipe, program, work, out }) {
  const name = `${recipe.name}-${recipe.version}`;
  const folder = join(work, 'source', name);
  mkdirSync(join(folder, 'include'), { recursive: true });
  const [addonApi, node] = headerFolders();
  for (const header of ['napi.h', 'napi-inl.h', 'napi-inl.deprecated.h'])
    cpSync(join(root, addonApi, header), join(folder, 'include', header));
  const nodes = ['node_api.h', 'node_api_types.h', 'js_native_api.h', 'js_native_api_types.h', 'uv.h', 'uv'];
  for (const header of nodes)
    cpSync(join(node, header), join(folder, 'include', header), { recursive: true });
  for (const path of ['native', 'binding.gyp', 'LICENSE'])
    cpSync(join(root, path), join(folder, path), { recursive: true });
  for (const name of ['addon.mk', 'exports.map']) cpSync(join(root, 'openwrt', name), join(folder, name));
  for (const path of Object.values(program)) cpSync(path, join(folder, basename(path)));
  const path = join(out, `${name}.tar.gz`);
  writeFileSync(path, tarGz(join(work, 'source'), epochS(), [name]));
  return path;
}

async function main() {
  // Modes are the packages' own, not those of who builds them.
  process.umask(0o022);
  if (values.arch.length === 0 && !values.source) throw new Error('say for what: --arch x86_64, --source');
  const work = mkdtempSync(join(tmpdir(), 'entremise-openwrt-'));
  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  try {
    const recipe = readRecipe(join(feed, 'Makefile'));
    const build = { recipe, program: await makeProgram(work), work, out };
    const packages = values.arch.map(arch => packageFor(arch, build));
    report({
      packages,
      ...(packages.length === 0 ? {} : { page: packageOfPage(build) }),
      ...(values.source ? { source: makeSource(build) } : {}),
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function reportPackage({ arch, ipk, apk, router, installed_by_part_kib: parts = {} }) {
  const sizes = Object.entries(parts).map(([part, size]) => `${part} ${size}`);
  console.log(`${arch}\n  ${ipk}\n  ${apk.path ?? apk.missing}`);
  console.log(`  router.ipk_kib        ${router.ipk_kib}`);
  console.log(
    `  router.installed_kib  ${router.installed_kib}${sizes.length > 0 ? ` (${sizes.join(', ')})` : ''}`,
  );
}

function report(made) {
  if (values.json) return console.log(JSON.stringify(made));
  if (made.source !== undefined) console.log(made.source);
  for (const one of [...made.packages, made.page ?? []].flat()) reportPackage(one);
}

try {
  await main();
} catch (failure) {
  console.error(`package:openwrt: ${failure.message}`);
  process.exitCode = 1;
}
