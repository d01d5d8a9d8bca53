import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { AppendFile } from './append-file.ts';
import type { RefusedBy } from './errors.ts';

/**
 * A file of JSON lines of which nothing can be changed, taken out or put in without a trace: each line has its number, and
 * the hash of itself and of the one before. Who knows a hash that was published, the head, knows all lines before it to be
 * what they were; the end that was not yet published can be cut off, and nothing else.
 *
 *     {"line":7, ..., "hash":"..."}     hash = SHA-256(hash of line 6 ‖ LF ‖ the line without ,"hash":"...")
 *
 * A file that begins anew (it was rotated) goes on from the last line of the one before, as long as the process lives, or
 * from the head that was published last.
 */

/** A line of the chain: its number and its hash, base64url. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first line. */
export const chainBegin: ChainHead = { seq: 0, hash: '' };

const ending = /^(.*),"hash":"([\w-]{43})"\}$/s;

/** The hash of a line behind `before`. `text`: the line without its hash and last bracket. */
function hashOf(before: string, text: string): string {
  return createHash('sha256').update(`${before}\n${text}}`).digest('base64url');
}

/** What a line says of itself, whether or not it is true; undefined when it is no line of a chain. */
export function readChainLine(line: string): (ChainHead & { readonly text: string }) | undefined {
  const [, text, hash] = ending.exec(line) ?? [];
  const seq = Number(/^\{"line":(\d{1,15})\b/.exec(text ?? '')?.[1]);
  return text === undefined || hash === undefined || Number.isNaN(seq) ? undefined : { seq, hash, text };
}

/** True when the line follows `before` and is what it was. */
export function isNextLine(
  before: ChainHead,
  { seq, hash, text }: NonNullable<ReturnType<typeof readChainLine>>,
) {
  return seq === before.seq + 1 && hash === hashOf(before.hash, text);
}

/** More than any line has. */
const tailBytes = 256 * 1024;

/** The last whole line of the chain in a file; undefined where there is none. */
function lastLineOf(path: string): ChainHead | undefined {
  const lines = tailOf(path).split('\n').reverse();
  for (const line of lines) {
    const read = readChainLine(line);
    if (read !== undefined) return { seq: read.seq, hash: read.hash };
  }
  return undefined;
}

function tailOf(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8');
  } finally {
    closeSync(fd);
  }
}

/** See the head of this file. */
export class ChainedFile {
  private readonly file: AppendFile;
  private readonly heads: AppendFile;
  private current: ChainHead | undefined;
  private published: ChainHead | undefined;

  /** Heads are published in `path` with `.heads` behind it. `by`: as {@link AppendFile}. */
  constructor(path: string, by?: RefusedBy) {
    this.file = new AppendFile(path, by);
    this.heads = new AppendFile(`${path}.heads`, by);
  }

  /** The last line. */
  get head(): ChainHead {
    this.current ??= lastLineOf(this.file.path) ?? this.lastPublished() ?? chainBegin;
    return this.current;
  }

  private lastPublished(): ChainHead | undefined {
    try {
      const line = readFileSync(this.heads.path, 'utf8').trimEnd().split('\n').at(-1) ?? '';
      const { seq, hash } = JSON.parse(line) as ChainHead;
      return Number.isSafeInteger(seq) && typeof hash === 'string' ? { seq, hash } : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * `value` has neither `line` nor `hash`.
   * @throws EntremiseError `audit-unavailable` when the line is not written, all of it; then it is not in the chain
   */
  append(value: Readonly<Record<string, unknown>>): void {
    const { seq: before, hash: hashBefore } = this.head;
    const seq = before + 1;
    const record = { line: seq, ...value };
    const hash = hashOf(hashBefore, JSON.stringify(record).slice(0, -1));
    this.file.append({ ...record, hash });
    this.current = { seq, hash };
  }

  /** Publishes the head if there are new lines; gives it then. @throws EntremiseError `audit-unavailable` */
  publish(time: string): ChainHead | undefined {
    const { head } = this;
    this.published ??= this.lastPublished() ?? chainBegin;
    if (head.hash === this.published.hash) return undefined;
    this.heads.append({ time, ...head });
    this.published = head;
    return head;
  }

  /** Closes the files; the next line opens them anew (after they were rotated). */
  reopen(): void {
    // What was rotated away is in memory: read before the new file is there.
    void this.head;
    this.file.reopen();
    this.heads.reopen();
  }
}
