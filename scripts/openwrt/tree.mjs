// The tree that is installed: one for both kinds of package, the same as the feed's Makefile installs.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Files of a folder with their size and mode, by path from there, sorted. */
export function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => {
      const path = join(entry.parentPath, entry.name);
      const { size, mode } = statSync(path);
      return { path: path.slice(folder.length), bytes: size, mode: mode & 0o7777 };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Modes do not depend on the umask of who checked out. */
function settleModes(folder, recipe) {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const runs = entry.isDirectory() || (statSync(path).mode & 0o100) !== 0;
    chmodSync(path, runs ? 0o755 : 0o644);
  }
  // What stands in /etc/config concerns root alone.
  for (const path of recipe.conffiles) chmodSync(join(folder, path), 0o600);
}

/** One time for everything in a folder: `apk mkpkg` keeps what it finds. */
export function settleTimes(folder, epochS) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    utimesSync(join(entry.parentPath, entry.name), epochS, epochS);
}

/** As the SDK does with conffiles that are folders. */
function keep(recipe, tree) {
  if (recipe.kept.length === 0) return;
  const path = join(tree, 'lib/upgrade/keep.d', recipe.name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, recipe.kept.map(entry => `${entry}\n`).join(''));
}

/**
 * Stages everything into `tree`. `folders`: pairs of a folder and where its content goes; `program`: { bundle, licenses,
 * addon }, paths of what is built.
 */
export function stage({ recipe, folders, program, tree }) {
  mkdirSync(tree, { recursive: true });
  for (const [from, to] of folders) cpSync(from, join(tree, to), { recursive: true });
  if (program !== undefined) putProgram(program, join(tree, 'usr/lib/entremise'));
  keep(recipe, tree);
  settleModes(tree, recipe);
}

function putProgram(program, lib) {
  mkdirSync(lib, { recursive: true });
  const put = (from, name, mode) => {
    copyFileSync(from, join(lib, name));
    chmodSync(join(lib, name), mode);
  };
  put(program.bundle, 'entremise-mediator.mjs', 0o644);
  put(program.licenses, 'LICENSES', 0o644);
  put(program.addon, 'entremise.node', 0o755);
}
