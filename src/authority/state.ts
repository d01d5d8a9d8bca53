import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { generateSigningKey, loadSigningKey, type SigningKey, saveSigningKey } from '../base/keys.ts';
import { readStateFile, writePrivateFile } from '../base/state-file.ts';

/**
 * The authority's own state, in one directory that only its user can read:
 *
 *     authority.key   the key that signs              next.key     its successor, trusted already
 *     state.json      counters and what is in force   trust.jwt    the newest trust statement
 *     grants/ members/ invitations/                   what was issued, one document a file
 */
export interface Authority {
  readonly directory: string;
  readonly operator: string;
  readonly key: SigningKey;
  /** The signing key and its successor: the authority keys of the trust statement. */
  readonly publicKeys: readonly [string, string];
}

const stateSchema = v.object({
  /** 2 with inviters, which a program that knows none would leave out of the next trust statement. */
  version: v.picklist([1, 2]),
  operator: v.string(),
  trustSeq: v.number(),
  memberSeq: v.number(),
  serverPins: v.array(v.string()),
  serverAddresses: v.array(v.string()),
  delegates: v.array(v.record(v.string(), v.unknown())),
  inviters: v.optional(v.array(v.record(v.string(), v.unknown())), []),
  revokedGrants: v.array(v.object({ jti: v.string(), exp: v.number() })),
  revokedKeys: v.array(v.string()),
  /** Keys that sign no more, and are believed for what they have signed (P6.2). */
  retiring: v.optional(v.array(v.string()), []),
});

/** What state.json holds. Times in seconds since 1970, as in the documents. */
export type AuthorityState = v.InferOutput<typeof stateSchema>;

/** Where things are in the directory of an authority. */
export const authorityFiles = {
  key: (directory: string) => join(directory, 'authority.key'),
  nextKey: (directory: string) => join(directory, 'next.key'),
  /** While keys change: who will be the successor. */
  comingKey: (directory: string) => join(directory, 'coming.key'),
  state: (directory: string) => join(directory, 'state.json'),
  trust: (directory: string) => join(directory, 'trust.jwt'),
  grant: (directory: string, id: string) => join(directory, 'grants', `${id}.jwt`),
  grants: (directory: string) => join(directory, 'grants'),
  member: (directory: string, key: string) => join(directory, 'members', `${key}.jwt`),
  /** All that a change of keys has signed, for a server that is told by hand. */
  rotation: (directory: string) => join(directory, 'rotation.documents'),
  /** All that a change of an inviter has signed, for the same. */
  inviter: (directory: string) => join(directory, 'inviter.documents'),
  invitation: (directory: string, key: string) => join(directory, 'invitations', `${key}.jwt`),
  lock: (directory: string) => join(directory, 'lock'),
} as const;

/**
 * Reads state.json.
 * @throws EntremiseError `state-unreadable`
 */
export function readAuthorityState(directory: string): AuthorityState {
  const path = authorityFiles.state(directory);
  const text = readStateFile(path).toString();
  try {
    const value: unknown = JSON.parse(text);
    refuseNewer(path, value);
    return v.parse(stateSchema, value);
  } catch (cause) {
    if (cause instanceof EntremiseError) throw cause;
    throw new EntremiseError('state-unreadable', {
      message: `${path} is not the state of an authority; restore it from a backup.`,
      cause,
    });
  }
}

function refuseNewer(path: string, value: unknown): void {
  const version =
    typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (typeof version !== 'number' || version <= 2) return;
  throw new EntremiseError('state-unreadable', {
    message: `${path} was written by a newer entremise (version ${version}; this one knows 2): run that one.`,
  });
}

/** Replaces state.json. */
export function writeAuthorityState(directory: string, state: AuthorityState): void {
  const kept = { ...state, version: state.inviters.length === 0 ? 1 : 2 };
  writePrivateFile(authorityFiles.state(directory), `${JSON.stringify(kept, undefined, 2)}\n`);
}

/**
 * Opens the authority in that directory.
 * @throws EntremiseError `state-unreadable`
 */
export function openAuthority(directory: string): Authority {
  finishKeyChange(directory);
  const key = loadSigningKey(authorityFiles.key(directory));
  const next = loadSigningKey(authorityFiles.nextKey(directory));
  const { operator } = readAuthorityState(directory);
  return { directory, operator, key, publicKeys: [key.text, next.text] };
}

/** A change of keys was cut off behind its first step: the successor signs already, and has none yet. */
function finishKeyChange(directory: string): void {
  const [next, coming] = [authorityFiles.nextKey(directory), authorityFiles.comingKey(directory)];
  if (existsSync(next) || !existsSync(coming)) return;
  moveKey(coming, next);
}

/** @throws EntremiseError `state-unreadable` */
function moveKey(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (cause) {
    throw new EntremiseError('state-unreadable', {
      message: `Cannot give ${from} the name ${to}; check the owner of the directory and the disk.`,
      cause,
    });
  }
}

/**
 * The successor's key becomes the one that signs, of that one nothing is left, and there is a new successor. Cut off at any
 * moment there are the keys of before or those of after.
 * @throws EntremiseError `state-unreadable`
 */
export function advanceKeys(directory: string): Authority {
  const coming = authorityFiles.comingKey(directory);
  rmSync(coming, { force: true });
  saveSigningKey(coming, generateSigningKey());
  moveKey(authorityFiles.nextKey(directory), authorityFiles.key(directory));
  return openAuthority(directory);
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
}

/** Takes the lock; a lock whose process is gone does not count. */
function takeLock(path: string): void {
  for (const lastTry of [false, true]) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, `${process.pid}\n`);
      closeSync(fd);
      return;
    } catch (cause) {
      const pid = lockHolder(path);
      if (!lastTry && pid !== undefined && !isRunning(pid)) {
        rmSync(path, { force: true });
        continue;
      }
      const who = pid === undefined ? '' : ` (process ${pid})`;
      throw new EntremiseError('state-unreadable', {
        message: `Cannot lock ${path}: another command is working on this authority${who}, or the directory cannot be written; try again.`,
        cause,
      });
    }
  }
}

function lockHolder(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Runs `change` while no other process changes the same authority, so that no seq is given twice.
 * @throws EntremiseError `state-unreadable` when another process is at it
 */
export async function whileLocked<T>(directory: string, change: () => Promise<T>): Promise<T> {
  const path = authorityFiles.lock(directory);
  takeLock(path);
  try {
    return await change();
  } finally {
    rmSync(path, { force: true });
  }
}
