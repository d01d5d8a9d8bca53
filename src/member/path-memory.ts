import { join } from 'node:path';
import * as v from 'valibot';
import { readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';
import type { PathKnowledge } from '../session/path-lifetime.ts';

/**
 * What was learned of the path, kept in `path.json` of the member's directory: one path, the last one. Written when
 * something has been settled, a few times in a life; losing it costs learning again.
 */

/** What is kept: which path, and what is known of it. */
export interface RememberedPath {
  /** WAN interface, gateway, public address and server. */
  readonly path: string;
  readonly knowledge: PathKnowledge;
}

const ms = v.pipe(v.number(), v.minValue(0), v.maxValue(2 ** 53));
const schema = v.object({
  path: v.string(),
  knowledge: v.object({
    origin: v.picklist(['learned', 'halved', 'unclear']),
    keepaliveMs: v.pipe(ms, v.minValue(100), v.maxValue(600_000)),
    heldMs: v.optional(ms),
    expiredMs: v.optional(ms),
    atMs: ms,
  }),
});

function fileOf(directory: string): string {
  return join(directory, 'path.json');
}

/** What is kept, or undefined when there is nothing, or nothing that can be used. */
export function readRememberedPath(directory: string): RememberedPath | undefined {
  try {
    const bytes = readStateFileIfPresent(fileOf(directory));
    if (bytes === undefined) return undefined;
    const { path, knowledge } = v.parse(schema, JSON.parse(bytes.toString('utf8')));
    const { origin, keepaliveMs, atMs, heldMs, expiredMs } = knowledge;
    const ends = {
      ...(heldMs === undefined ? {} : { heldMs }),
      ...(expiredMs === undefined ? {} : { expiredMs }),
    };
    return { path, knowledge: { origin, keepaliveMs, atMs, ...ends } };
  } catch {
    return undefined;
  }
}

/**
 * Keeps it, as a whole or not at all.
 * @throws EntremiseError `state-unreadable`
 */
export function writeRememberedPath(directory: string, remembered: RememberedPath): void {
  writePrivateFile(fileOf(directory), `${JSON.stringify(remembered)}\n`);
}
