import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

function make(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (thrown) {
    const isThere = thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST';
    if (!isThere || !statSync(path).isDirectory()) throw thrown;
  }
}

/**
 * Makes a directory and what is missing above it, readable by its owner alone (0700) unless `mode` says otherwise. What exists
 * is left as it is.
 *
 * Node's own (`recursive`) never returns where a directory is there and the kernel says ENOENT of all that is made in it: in
 * /proc, and below a working directory that has been removed.
 * @throws Error of the file system
 */
export function makeDirectory(path: string, mode = 0o700): void {
  try {
    make(path, mode);
  } catch (thrown) {
    const parent = dirname(path);
    const isMissing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
    if (!isMissing || parent === path) throw thrown;
    makeDirectory(parent, mode);
    make(path, mode);
  }
}
