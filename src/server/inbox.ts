import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, isErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  ensurePrivateDirectory,
  readStateFile,
  readStateFileIfPresent,
  writePrivateFile,
} from '../base/state-file.ts';

/**
 * How documents come to a server from the same machine: files put into `inbox/` of its state directory, by whoever may
 * write there. A running server takes them at once and leaves the outcome beside; one that is not running takes them
 * when it starts. Nothing here needs to be trusted: documents are.
 */

/** A file watch can be missed (network file systems), so the inbox is also looked at now and then. */
const lookEveryMs = 500;

function inboxOf(stateDir: string): string {
  return join(stateDir, 'inbox');
}

/** What became of documents: one entry each, undefined when accepted; or nothing when no server took them in time. */
export type InboxOutcome = readonly (ErrorCode | undefined)[] | undefined;

/**
 * Puts documents into the inbox and waits up to `waitMs` for a running server to take them.
 * @throws EntremiseError `state-unreadable`
 */
export async function putIntoInbox(
  stateDir: string,
  documents: readonly string[],
  waitMs: number,
): Promise<InboxOutcome> {
  const id = randomBytes(8).toString('hex');
  const outcome = join(inboxOf(stateDir), `${id}.outcome`);
  writePrivateFile(join(inboxOf(stateDir), `${id}.documents`), `${documents.join('\n')}\n`);
  for (const endMs = Date.now() + waitMs; Date.now() < endMs; ) {
    const answer = readStateFileIfPresent(outcome)?.toString('utf8');
    if (answer !== undefined) {
      rmSync(outcome, { force: true });
      return answer
        .trim()
        .split('\n')
        .map(word => (isErrorCode(word) ? word : undefined));
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return undefined;
}

/** What {@link watchInbox} needs. */
export interface InboxOptions {
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
  accept(document: string): Promise<ErrorCode | undefined>;
}

async function takeOne(options: InboxOptions, name: string): Promise<void> {
  const path = join(inboxOf(options.stateDir), name);
  const documents = readStateFile(path)
    .toString('utf8')
    .split('\n')
    .filter(line => line !== '');
  const outcomes: string[] = [];
  for (const document of documents) outcomes.push((await options.accept(document)) ?? 'ok');
  rmSync(path, { force: true });
  writePrivateFile(path.replace(/documents$/, 'outcome'), `${outcomes.join('\n')}\n`);
  options.log.info({ documents: documents.length, outcomes }, 'documents taken from the inbox');
}

/** Takes what is in the inbox, now and whenever something is put in. Returns how to stop, which waits for the file at hand. */
export async function watchInbox(options: InboxOptions): Promise<() => Promise<void>> {
  const inbox = inboxOf(options.stateDir);
  ensurePrivateDirectory(inbox);
  let working: Promise<void> = Promise.resolve();
  let stopped = false;
  const take = async () => {
    if (!existsSync(inbox)) return;
    for (const name of readdirSync(inbox).sort()) {
      if (stopped) return;
      if (!name.endsWith('.documents')) continue;
      await takeOne(options, name).catch(thrown =>
        options.log.error({ err: thrown, name }, 'inbox file not taken'),
      );
    }
  };
  const look = () => {
    working = working.then(take);
    return working;
  };
  await look();
  const watcher = watch(inbox, { persistent: false }, () => void look());
  watcher.on('error', () => {});
  let cancel = () => {};
  const again = () => {
    if (stopped) return;
    cancel = options.clock.after(lookEveryMs, () => void look().then(again));
  };
  again();
  return async () => {
    stopped = true;
    cancel();
    watcher.close();
    await working;
  };
}
