import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { checkout, folderOf, openIpk } from './packages.ts';

/**
 * A router as far as a package sees it: a chroot with busybox and testbed/openwrt/stand-in, whose README says what is real
 * there and what is not, and opkg's part of an installation.
 */

const mediator = 'entremise-mediator';

/** The package in a file of that name. */
const nameOf = (ipk: string) => basename(ipk).split('_')[0] ?? '';

/** Why there can be none here, or undefined. */
export function noRouterBecause(t: ExecutionContext): string | undefined {
  if (!existsSync('/bin/busybox')) return 'busybox-static is not installed';
  const folder = folderOf(t);
  try {
    // What a user namespace with one user in it cannot do.
    chownSync(folder, 32768, 32768);
  } catch {
    return 'only root can give files to other users';
  }
  return spawnSync('chroot', ['/', '/bin/true']).status === 0 ? undefined : 'there is no chroot here';
}

/** The shared libraries of a program, and who loads them. */
function librariesOf(program: string): string[] {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...text.matchAll(/(\/\S+)/g)].map(([, path = '']) => path);
}

/** See the head of this file. */
export class Router {
  readonly root: string;
  private readonly unpacked: string;

  constructor(t: ExecutionContext) {
    this.root = folderOf(t);
    this.unpacked = folderOf(t);
    chmodSync(this.root, 0o755);
    for (const path of ['bin', 'usr/bin', 'usr/lib/opkg/info', 'etc/config', 'tmp', 'var/run', 'dev'])
      mkdirSync(join(this.root, path), { recursive: true });
    this.copyIn('/bin/busybox');
    execFileSync('chroot', [this.root, '/bin/busybox', '--install', '-s', '/bin']);
    cpSync(join(checkout, 'testbed/openwrt/stand-in'), this.root, { recursive: true });
    this.copyIn(process.execPath, '/usr/bin/node');
    for (const library of librariesOf(process.execPath)) this.copyIn(library);
    for (const [path, text] of Object.entries({
      passwd: 'root:x:0:0:root:/root:/bin/ash\n',
      group: 'root:x:0:\n',
    }))
      writeFileSync(join(this.root, 'etc', path), text);
    writeFileSync(join(this.root, 'etc/shadow'), 'root::0:0:99999:7:::\n');
    writeFileSync(join(this.root, 'dev/null'), '');
  }

  private copyIn(from: string, to = from): void {
    mkdirSync(dirname(join(this.root, to)), { recursive: true });
    // A hundred megabytes of Node are not copied for every router; nothing in one writes to them.
    const target = join(this.root, to);
    try {
      linkSync(realpathSync(from), target);
    } catch {
      cpSync(from, target, { dereference: true });
    }
  }

  /** Runs a line of shell as root there; fails with what it wrote when it fails. */
  sh(line: string): string {
    const env = { PATH: '/bin:/sbin:/usr/bin:/usr/sbin' };
    const { status, stdout, stderr } = spawnSync('chroot', [this.root, '/bin/sh', '-c', line], {
      encoding: 'utf8',
      env,
    });
    if (status === 0) return stdout;
    throw new Error(`${line}: exit code ${status}\n${stdout}${stderr}`);
  }

  /** The text of a file. */
  read(path: string): string {
    return readFileSync(join(this.root, path), 'utf8');
  }

  /** Writes a file. */
  write(path: string, text: string): void {
    writeFileSync(join(this.root, path), text);
  }

  /** `mode owner` of a file or folder. */
  ownership(path: string): string {
    const { mode, uid, gid } = statSync(join(this.root, path));
    return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
  }

  /** What was noted since the last call: words of each call. */
  notes(): string[][] {
    const path = join(this.root, 'tmp/notes');
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    rmSync(path, { force: true });
    return text
      .split('\n')
      .filter(Boolean)
      .map(line => line.split('\t'));
  }

  /** Everything but processes, devices and what is for notes: paths of files and folders. */
  everything(): string[] {
    const skipped = /^\/(tmp\/notes|dev)/;
    return readdirSync(this.root, { recursive: true, withFileTypes: true })
      .map(entry => join(entry.parentPath, entry.name).slice(this.root.length))
      .filter(path => !skipped.test(path))
      .sort();
  }

  private info(name: string, kind: string): string {
    return join(this.root, 'usr/lib/opkg/info', `${name}.${kind}`);
  }

  private listed(name: string, kind: string): string[] {
    const path = this.info(name, kind);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  }

  private script(name: string, kind: string, words: string, isUpgrade: boolean): void {
    if (!existsSync(this.info(name, kind))) return;
    const upgrade = isUpgrade ? 'PKG_UPGRADE=1 ' : '';
    this.sh(`${upgrade}/usr/lib/opkg/info/${name}.${kind} ${words}`);
  }

  private unpack(ipk: string, keepConffiles: boolean): void {
    const { data, control } = openIpk(ipk, join(this.unpacked, `${basename(ipk)}-${Math.random()}`));
    const name = nameOf(ipk);
    for (const kind of readdirSync(control)) cpSync(join(control, kind), this.info(name, kind));
    const conffiles = this.listed(name, 'conffiles');
    const installed = readdirSync(data, { recursive: true, withFileTypes: true })
      .filter(entry => !entry.isDirectory())
      .map(entry => join(entry.parentPath, entry.name).slice(data.length));
    for (const path of installed) {
      const isChanged = keepConffiles && conffiles.includes(path) && existsSync(join(this.root, path));
      execFileSync('mkdir', ['-p', dirname(join(this.root, path))]);
      cpSync(join(data, path), join(this.root, isChanged ? `${path}-opkg` : path));
    }
    writeFileSync(this.info(name, 'list'), installed.map(path => `${path}\n`).join(''));
  }

  /** `opkg install FILE` of a package that is not there. */
  install(ipk: string): void {
    this.unpack(ipk, false);
    this.script(nameOf(ipk), 'postinst', 'configure', false);
  }

  /** `opkg install FILE` of a newer one. The configuration counts as changed. */
  upgrade(ipk: string): void {
    const name = nameOf(ipk);
    this.script(name, 'prerm', 'upgrade 9.9.9', true);
    this.script(name, 'postrm', 'upgrade 9.9.9', true);
    this.unpack(ipk, true);
    this.script(name, 'postinst', 'configure', true);
  }

  /** `opkg remove`. A configuration that was changed stays, as opkg leaves it. */
  remove(name = mediator): void {
    this.script(name, 'prerm', 'remove', false);
    const conffiles = this.listed(name, 'conffiles');
    for (const path of this.listed(name, 'list'))
      if (!conffiles.includes(path)) rmSync(join(this.root, path), { force: true });
    this.script(name, 'postrm', 'remove', false);
    const folder = join(this.root, 'usr/lib/opkg/info');
    for (const entry of readdirSync(folder)) if (entry.startsWith(`${name}.`)) rmSync(join(folder, entry));
  }
}
