import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

/** Packages for routers as the tests make and open them. */

/** The checkout: this file runs as dist/testbed/openwrt/packages.js. */
export const checkout = fileURLToPath(new URL('../../../', import.meta.url));

/** What scripts/package-openwrt.mjs says of one architecture. */
export interface MadePackage {
  readonly arch: string;
  readonly ipk: string;
  readonly apk: { readonly folder: string; readonly missing?: string; readonly path?: string };
  readonly router: { readonly ipk_kib: number; readonly installed_kib: number };
  readonly installed_by_part_kib?: Readonly<Record<string, number>>;
}

/** What it says of a run. */
export interface MadePackages {
  readonly packages: readonly MadePackage[];
  /** LuCI's page, where there are packages. */
  readonly page?: MadePackage;
  readonly source?: string;
}

const prefix = 'entremise-router-';

let mine: string | undefined;

/** What a run that was killed has left: its process is gone. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(prefix) ? /^\d+/.exec(name.slice(prefix.length))?.[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** A fresh folder that is gone when this test file ends, however it ends. */
export function folderOfFile(): string {
  if (mine === undefined) {
    sweep();
    const made = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    mine = made;
  }
  return mkdtempSync(join(mine, 'x-'));
}

/** A folder that is gone after the test. */
export function folderOf(t: ExecutionContext): string {
  const folder = folderOfFile();
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Runs the script with these words. With the addon of this machine
 * unless `addon` is 'cross': everything but that file is what a router gets. Under a umask that must not matter.
 */
export function makePackages(
  out: string,
  words: readonly string[],
  addon: 'cross' | 'native' = 'native',
  env: NodeJS.ProcessEnv = {},
): MadePackages {
  const given = addon === 'cross' ? [] : ['--addon', join(checkout, 'build/Release/entremise.node')];
  const script = join(checkout, 'scripts/package-openwrt.mjs');
  const text = execFileSync(
    'sh',
    [
      '-c',
      'umask 077; exec "$@"',
      'sh',
      process.execPath,
      script,
      '--json',
      '--out',
      out,
      ...given,
      ...words,
    ],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: folderOfFile(), ...env } },
  );
  return JSON.parse(text) as MadePackages;
}

/** Opens an .ipk into `folder`: `data` and `control` in it. */
export function openIpk(path: string, folder: string): { readonly data: string; readonly control: string } {
  const unpack = (archive: string, into: string) => {
    execFileSync('mkdir', ['-p', into]);
    execFileSync('tar', ['--extract', '--gzip', '--file', archive, '--directory', into]);
  };
  unpack(path, join(folder, 'outer'));
  const [data, control] = [join(folder, 'data'), join(folder, 'control')];
  unpack(join(folder, 'outer/data.tar.gz'), data);
  unpack(join(folder, 'outer/control.tar.gz'), control);
  return { data, control };
}

/** `mode owner/group path` of every member of a .tar.gz, in order, and which format its headers have. */
export function membersOf(archive: string): { readonly members: string[]; readonly magic: Set<string> } {
  const listing = execFileSync(
    'tar',
    ['--list', '--verbose', '--numeric-owner', '--gzip', '--file', archive],
    {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    },
  );
  const members = listing
    .trimEnd()
    .split('\n')
    .map(line => line.split(/\s+/))
    .map(([mode, owner, , , , ...path]) => `${mode} ${owner} ${path.join(' ')}`);
  const bytes = execFileSync('gzip', ['--decompress', '--stdout', archive], { maxBuffer: 2 ** 28 });
  return { members, magic: headerMagics(bytes) };
}

/** Magic and version (POSIX.1 pax Interchange Format, "tar header"), with the type for what is no file and no folder. */
function headerMagics(bytes: Buffer): Set<string> {
  const magics = new Set<string>();
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const header = bytes.subarray(at, at + 512);
    const type = header.toString('latin1', 156, 157);
    magics.add(header.toString('latin1', 257, 265) + (/[05]/.test(type) ? '' : type));
    const size = Number.parseInt(header.toString('latin1', 124, 135), 8);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return magics;
}
