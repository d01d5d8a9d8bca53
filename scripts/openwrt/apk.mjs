// The apk tree of a staged tree, with its scripts: OpenWRT 25.12 and later. The package itself is made by `apk mkpkg`,
// which only apk-tools 3 has.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesOf, settleTimes } from './tree.mjs';

const own = text => text.replace(/^#!.*\n/, '');

function scripts(recipe) {
  const head = (guard, body) => `#!/bin/sh
${guard}[ -s "\${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "\${IPKG_INSTROOT}/lib/functions.sh"
export root="\${IPKG_INSTROOT}"
export pkgname="${recipe.name}"
${body}`;
  const install = `add_group_and_user\ndefault_postinst\n${own(recipe.postinst)}`;
  const noScript = `[ "\${IPKG_NO_SCRIPT}" = "1" ] && exit 0\n`;
  return {
    'post-install': head(noScript, install),
    'post-upgrade': head(`export PKG_UPGRADE=1\n${noScript}`, install),
    'pre-deinstall': head('', 'default_prerm\n'),
    'post-deinstall': recipe.postrm,
  };
}

/** What OpenWRT's own scripts want to know of an installed package, since apk's database is not theirs to read. */
function writeMetadata(recipe, tree) {
  const lines = texts => texts.map(text => `${text}\n`).join('');
  const folder = join(tree, 'lib/apk/packages');
  const list = filesOf(tree).map(({ path }) => path);
  mkdirSync(folder, { recursive: true });
  const put = (kind, text) => writeFileSync(join(folder, `${recipe.name}.${kind}`), text, { mode: 0o644 });
  const digest = path =>
    createHash('sha256')
      .update(readFileSync(join(tree, path)))
      .digest('hex');
  put('list', lines(list));
  if (recipe.users !== undefined) put('rusers', lines([recipe.users]));
  if (recipe.conffiles.length === 0) return;
  put('conffiles', lines([...recipe.conffiles, ...recipe.kept]));
  put('conffiles_static', lines(recipe.conffiles.map(path => `${path} ${digest(path)}`)));
}

/** opkg's and apk's word for a package that fits everywhere. */
const apkArch = arch => (arch === 'all' ? 'noarch' : arch);

/** The version of apk-tools that is there, when it can make packages. */
function apkTool() {
  const { status, stdout } = spawnSync('apk', ['--version'], { encoding: 'utf8' });
  const [, version] = /apk-tools ([\d.]+)/.exec(stdout ?? '') ?? [];
  return status === 0 && Number(version?.split('.')[0]) >= 3 ? version : undefined;
}

/** Writes `apk-ARCH/{files,scripts}` into `out`, and the package where apk-tools 3 is. Gives what was made, and why not. */
export function packApk({ recipe, arch, tree, out, epochS }) {
  const folder = join(out, `apk-${arch}`);
  const files = join(folder, 'files');
  cpSync(tree, files, { recursive: true });
  writeMetadata(recipe, files);
  settleTimes(files, epochS);
  mkdirSync(join(folder, 'scripts'));
  const made = scripts(recipe);
  for (const [name, text] of Object.entries(made))
    writeFileSync(join(folder, 'scripts', name), text, { mode: 0o755 });
  const path = join(out, `${recipe.name}-${recipe.version}-r${recipe.release}.${apkArch(arch)}.apk`);
  const info = {
    name: recipe.name,
    version: `${recipe.version}-r${recipe.release}`,
    description: recipe.title,
    arch: apkArch(arch),
    license: recipe.license,
    origin: `feeds/entremise/${recipe.name}`,
    maintainer: recipe.maintainer,
    depends: recipe.depends.join(' '),
  };
  const words = [
    'mkpkg',
    ...Object.entries(info).flatMap(([name, value]) => ['--info', `${name}:${value}`]),
    ...Object.keys(made).flatMap(name => ['--script', `${name}:${join(folder, 'scripts', name)}`]),
    '--files',
    files,
    '--output',
    path,
  ];
  const tool = apkTool();
  if (tool === undefined)
    return {
      folder,
      missing: `no .apk was made, only its tree and scripts (${folder}): that takes "apk mkpkg" of apk-tools 3, as OpenWRT's SDK has it in staging_dir/host/bin`,
    };
  execFileSync('apk', words, {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epochS) },
    stdio: 'inherit',
  });
  return { folder, path };
}
