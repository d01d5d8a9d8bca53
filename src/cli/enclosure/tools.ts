import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { EntremiseError } from '../../base/errors.ts';

/** What an enclosure is made with, and the Debian packages that bring it. */
const packages = {
  setpriv: 'util-linux',
  unshare: 'util-linux',
  mount: 'mount',
  umount: 'mount',
  ip: 'iproute2',
  nft: 'nftables',
} as const;

/** A program that the enclosure is made with. */
export type Tool = keyof typeof packages;

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The user's path, and what of an administrator's is not on it. */
const usualFolders = () => [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/**
 * The path of each of them.
 * @throws EntremiseError `environment-unfit` with all that are missing and what brings them
 */
export function requireTools(folders: readonly string[] = usualFolders()): (tool: Tool) => string {
  const names = Object.keys(packages) as Tool[];
  const absolute = folders.filter(folder => folder.startsWith('/'));
  const pathOf = (name: Tool) => absolute.map(folder => join(folder, name)).find(isProgram);
  const found = new Map(names.map(name => [name, pathOf(name)]));
  const missing = names.filter(name => found.get(name) === undefined);
  if (missing.length > 0) {
    const from = [...new Set(missing.map(name => packages[name]))].join(' ');
    throw new EntremiseError('environment-unfit', {
      message: `A network of its own for a command needs ${missing.join(', ')} on this machine; on Debian: apt-get install ${from}. Without: entremise socks or forward.`,
    });
  }
  return tool => found.get(tool) ?? tool;
}
