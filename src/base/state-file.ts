import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { EntremiseError } from './errors.ts';
import { makeDirectory } from './make-directory.ts';

/**
 * State on disk: small files that are either the old or the new version, whole, whatever happens in between, and that
 * nobody but their owner can read. Synchronous, because it runs at start, in the CLI and on rare changes only.
 */

/** What to do about the failures of the file system that people really meet. */
const advice: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist; check the path, or run the command that creates it',
  EACCES: 'this user may not; run as the user who owns it, or change its owner',
  EPERM: 'this user may not; run as the user who owns it, or change its owner',
  EISDIR: 'it is a directory; name a file',
  ENOTDIR: 'a part of its path is not a directory; check the path',
  EEXIST: 'it exists and is not overwritten; move it away first if it is no longer needed',
  ENOSPC: 'the disk is full; free some space',
  EROFS: 'the file system is read-only; choose a directory that can be written',
};

function errnoOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

function fileError(action: string, path: string, thrown: unknown): EntremiseError {
  if (thrown instanceof EntremiseError) return thrown;
  const reason = advice[errnoOf(thrown)] ?? (thrown instanceof Error ? thrown.message : String(thrown));
  return new EntremiseError('state-unreadable', {
    message: `Cannot ${action} ${path}: ${reason}.`,
    cause: thrown,
  });
}

/**
 * Makes the directory and what is missing above it, readable by its owner alone (0700). What exists is left as it is.
 * @throws EntremiseError `state-unreadable`
 */
export function ensurePrivateDirectory(path: string): void {
  try {
    makeDirectory(path);
  } catch (thrown) {
    throw fileError('make the directory', path, thrown);
  }
}

function writeSynced(path: string, data: string | Uint8Array): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(fd, data);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A rename is on disk only when its directory is. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes beside `path`, then lets `publish` give the finished file its name. */
function writeThenPublish(path: string, data: string | Uint8Array, publish: (from: string) => void): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  ensurePrivateDirectory(dirname(path));
  try {
    writeSynced(temporary, data);
    publish(temporary);
    syncDirectory(dirname(path));
  } catch (thrown) {
    throw fileError('write', path, thrown);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Replaces `path` as a whole (temporary file, fsync, rename): a reader or a power cut sees the old version or the new
 * one. Mode 0600; missing directories are made with 0700.
 * @throws EntremiseError `state-unreadable`
 */
export function writePrivateFile(path: string, data: string | Uint8Array): void {
  writeThenPublish(path, data, temporary => renameSync(temporary, path));
}

/**
 * As {@link writePrivateFile}, but never overwrites: for keys, whose loss cannot be undone.
 * @throws EntremiseError `state-unreadable`, also when `path` exists
 */
export function createPrivateFile(path: string, data: string | Uint8Array): void {
  writeThenPublish(path, data, temporary => linkSync(temporary, path));
}

/**
 * Takes a file away, if it is there.
 * @throws EntremiseError `state-unreadable`
 */
export function removeStateFile(path: string): void {
  try {
    rmSync(path, { force: true });
    syncDirectory(dirname(path));
  } catch (thrown) {
    throw fileError('remove', path, thrown);
  }
}

function readChecked(path: string, check: (mode: number) => void): Buffer {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    check(fstatSync(fd).mode);
    return readFileSync(fd);
  } catch (thrown) {
    throw fileError('read', path, thrown);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * The whole file.
 * @throws EntremiseError `state-unreadable`, saying which file, why and what to do
 */
export function readStateFile(path: string): Buffer {
  return readChecked(path, () => {});
}

/**
 * The whole file, or undefined when there is none.
 * @throws EntremiseError `state-unreadable` for every other failure
 */
export function readStateFileIfPresent(path: string): Buffer | undefined {
  try {
    return readStateFile(path);
  } catch (thrown) {
    if (thrown instanceof EntremiseError && errnoOf(thrown.cause) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/**
 * The whole file, which holds a secret: refused when its group or everybody may read or write it, since then the
 * secret may be known to others already.
 * @throws EntremiseError `state-unreadable`
 */
export function readPrivateFile(path: string): Buffer {
  return readChecked(path, mode => {
    if ((mode & 0o077) === 0) return;
    const shown = (mode & 0o777).toString(8).padStart(4, '0');
    throw new EntremiseError('state-unreadable', {
      message: `${path} holds a secret but has mode ${shown}: others may read it. Run: chmod 600 ${path} (and make a new key if others use this machine).`,
    });
  });
}
