import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  type FSWatcher,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  watch,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Clock } from '../base/clock.ts';
import { EntremiseError, type ErrorCode, isErrorCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { ensurePrivateDirectory, readStateFileIfPresent, writePrivateFile } from '../base/state-file.ts';

/**
 * How documents come to a server from the same machine: files put into `inbox/` of its state directory, by whoever may
 * write there. A running server takes them at once and leaves the outcome beside; one that is not running takes them
 * when it starts. Nothing here needs to be trusted, neither who wrote a file nor what kind of file it is: documents are.
 *
 *     <id>.documents   one document a line      <id>.outcome   one word a line: ok, or a code of the catalogue
 */

/** A file watch can be missed (network file systems), so the inbox is also looked at now and then. */
const lookEveryMs = 500;

/** The longest file that is taken: some hundred of the longest documents. */
const maxFileBytes = 4 * 1024 * 1024;

/** An outcome that nobody has fetched by then will not be. */
const keepOutcomeMs = 60_000;

function inboxOf(stateDir: string): string {
  return join(stateDir, 'inbox');
}

/** What became of documents: one entry each, undefined when accepted; or nothing when no server took them in time. */
export type InboxOutcome = readonly (ErrorCode | undefined)[] | undefined;

/** What root puts there must be the server's own: it runs as another user. */
function giveToOwnerOf(directory: string, path: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(directory);
  chownSync(path, uid, gid);
}

function ensureInbox(stateDir: string): string {
  const inbox = inboxOf(stateDir);
  if (existsSync(inbox)) return inbox;
  ensurePrivateDirectory(inbox);
  giveToOwnerOf(stateDir, inbox);
  return inbox;
}

/**
 * Puts documents into the inbox and waits up to `waitMs` for a running server to take them.
 * @throws EntremiseError `state-unreadable`
 */
export async function putIntoInbox(
  stateDir: string,
  documents: readonly string[],
  waitMs: number,
): Promise<InboxOutcome> {
  const inbox = ensureInbox(stateDir);
  // What was put there first is taken first: a grant is nothing before the trust statement it needs.
  const id = `${Date.now().toString(16).padStart(12, '0')}-${randomBytes(8).toString('hex')}`;
  const outcome = join(inbox, `${id}.outcome`);
  const unfinished = join(inbox, `${id}.unfinished`);
  writePrivateFile(unfinished, `${documents.join('\n')}\n`);
  giveToOwnerOf(inbox, unfinished);
  renameSync(unfinished, join(inbox, `${id}.documents`));
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

function notTaken(reason: string): EntremiseError {
  return new EntremiseError('state-unreadable', { message: `It ${reason}, so it was not taken.` });
}

/** The lines of a plain file. Neither follows a link out of the inbox nor waits for the other end of a pipe. */
function linesOf(path: string): string[] {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw notTaken('is no plain file');
    if (found.size > maxFileBytes) throw notTaken(`is longer than ${maxFileBytes} bytes`);
    const lines = readFileSync(fd, 'utf8').split('\n');
    return lines.map(line => line.trim()).filter(line => line !== '');
  } finally {
    closeSync(fd);
  }
}

/** See the head of this file: the server's side. */
class Inbox {
  private readonly options: InboxOptions;
  private readonly path: string;
  /** Files that could not be taken: told once, and tried again in case it gets better. */
  private readonly failed = new Set<string>();
  private working: Promise<void> = Promise.resolve();
  private stopped = false;
  private watcher: FSWatcher | undefined;
  private cancelLook = () => {};

  constructor(options: InboxOptions) {
    this.options = options;
    this.path = ensureInbox(options.stateDir);
  }

  async start(): Promise<void> {
    await this.look();
    try {
      this.watcher = watch(this.path, { persistent: false }, () => void this.look());
      this.watcher.on('error', () => {});
    } catch (thrown) {
      this.options.log.warn({ err: thrown }, 'the inbox cannot be watched; it is looked at twice a second');
    }
    this.lookAgain();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelLook();
    this.watcher?.close();
    await this.working;
  }

  private lookAgain(): void {
    if (this.stopped) return;
    this.cancelLook = this.options.clock.after(
      lookEveryMs,
      () => void this.look().then(() => this.lookAgain()),
    );
  }

  private look(): Promise<void> {
    this.working = this.working.then(() => this.takeAll());
    return this.working;
  }

  private names(): string[] {
    try {
      return existsSync(this.path) ? readdirSync(this.path).sort() : [];
    } catch (thrown) {
      this.tellOnce('.', thrown);
      return ['.'];
    }
  }

  private async takeAll(): Promise<void> {
    const names = this.names();
    for (const name of this.failed) if (!names.includes(name)) this.failed.delete(name);
    for (const name of names) {
      if (this.stopped) return;
      try {
        if (name.endsWith('.documents')) await this.take(name);
        else this.removeOld(name);
      } catch (thrown) {
        this.tellOnce(name, thrown);
      }
    }
  }

  private tellOnce(name: string, thrown: unknown): void {
    if (this.failed.has(name)) return;
    this.failed.add(name);
    this.options.log.error({ err: thrown, name }, 'inbox file cannot be taken');
  }

  private async take(name: string): Promise<void> {
    const path = join(this.path, name);
    const documents = linesOf(path);
    const outcomes: string[] = [];
    for (const document of documents) outcomes.push((await this.options.accept(document)) ?? 'ok');
    rmSync(path, { force: true });
    const outcome = path.replace(/documents$/, 'outcome');
    writePrivateFile(outcome, `${outcomes.join('\n')}\n`);
    const refused = outcomes.filter(word => word !== 'ok');
    this.options.log.info({ documents: documents.length, refused }, 'documents taken from the inbox');
  }

  /** Outcomes that nobody waited for, and what an interrupted command left. */
  private removeOld(name: string): void {
    if (!/\.(outcome|unfinished|tmp)$/.test(name)) return;
    const path = join(this.path, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || this.options.clock.wallTimeMs() - found.mtimeMs < keepOutcomeMs) return;
    rmSync(path, { force: true });
  }
}

/**
 * Takes what is in the inbox, now and whenever something is put in. Returns how to stop, which waits for the file at
 * hand.
 * @throws EntremiseError `state-unreadable`
 */
export async function watchInbox(options: InboxOptions): Promise<() => Promise<void>> {
  const inbox = new Inbox(options);
  await inbox.start();
  return () => inbox.stop();
}
