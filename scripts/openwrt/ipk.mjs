// The .ipk of a staged tree: opkg, OpenWRT 24.10 and before.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tarGz } from './archive.mjs';
import { filesOf } from './tree.mjs';

/** Ends a script where an image is built without running any. Shell, not a template. */
const noScript = `[ "\${IPKG_NO_SCRIPT}" = "1" ] && exit 0\n`;

/** What runs at installation and removal is the base system's; it sources what is ours. */
const stub = (name, guard) => `#!/bin/sh
${guard}[ -s "\${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "\${IPKG_INSTROOT}/lib/functions.sh"
default_${name} "$0" "$@"
`;

function control(recipe, arch, installedBytes, epochS) {
  const fields = {
    Package: recipe.name,
    Version: `${recipe.version}-r${recipe.release}`,
    Depends: recipe.depends.join(', '),
    Source: `feeds/entremise/${recipe.name}`,
    License: recipe.license,
    Section: recipe.section,
    'Require-User': recipe.users,
    SourceDateEpoch: epochS,
    Maintainer: recipe.maintainer,
    Architecture: arch,
    'Installed-Size': installedBytes,
    Description: `${recipe.title}\n ${recipe.description}`,
  };
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

/** Writes `NAME_VERSION_ARCH.ipk` into `out`; `tree` is the staged tree, `work` a folder of its own. Gives the path. */
export function packIpk({ recipe, arch, tree, work, out, epochS }) {
  const installedBytes = filesOf(tree).reduce((sum, { bytes }) => sum + bytes, 0);
  const info = join(work, 'control');
  mkdirSync(info, { recursive: true });
  const put = (name, text, mode) => writeFileSync(join(info, name), text, { mode });
  put('control', control(recipe, arch, installedBytes, epochS), 0o644);
  if (recipe.conffiles.length > 0)
    put('conffiles', recipe.conffiles.map(path => `${path}\n`).join(''), 0o644);
  put('postinst', stub('postinst', noScript), 0o755);
  put('prerm', stub('prerm', ''), 0o755);
  put('postinst-pkg', recipe.postinst, 0o755);
  put('postrm', recipe.postrm, 0o755);
  const outer = join(work, 'outer');
  mkdirSync(outer);
  writeFileSync(join(outer, 'debian-binary'), '2.0\n');
  writeFileSync(join(outer, 'data.tar.gz'), tarGz(tree, epochS));
  writeFileSync(join(outer, 'control.tar.gz'), tarGz(info, epochS));
  const path = join(out, `${recipe.name}_${recipe.version}-r${recipe.release}_${arch}.ipk`);
  const members = ['./debian-binary', './data.tar.gz', './control.tar.gz'];
  writeFileSync(path, tarGz(outer, epochS, members));
  return path;
}
