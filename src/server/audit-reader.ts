import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { type ChainHead, chainBegin, isNextLine, readChainLine } from '../base/chained-file.ts';
import { EntremiseError } from '../base/errors.ts';

/** What reading an audit through has shown. */
export interface AuditVerdict {
  /** Lines of the chain that are what they were, from the first that was read. */
  readonly lines: number;
  /** Lines that are no lines of a chain: of a version before, or torn by a full disk. */
  readonly others: number;
  /** The last good one. */
  readonly head: ChainHead;
  /** Where the chain breaks: what stands there was changed, or what stood before it taken out. */
  readonly broken: { readonly file: string; readonly line: number } | undefined;
  /** True when a head that was asked for was found. */
  readonly headFound: boolean;
}

/** Every line of some files, with its place. @throws EntremiseError `state-unreadable` */
async function* linesOf(files: readonly string[]) {
  for (const file of files) {
    const input = createReadStream(file, 'utf8');
    let number = 0;
    try {
      for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
        yield { file, number: ++number, text };
    } catch (cause) {
      const message = `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`;
      throw new EntremiseError('state-unreadable', { message, cause });
    }
  }
}

/**
 * Reads an audit through, the oldest file first. `wanted`: the hash of a head that was published; it proves that nothing
 * before it is missing.
 * @throws EntremiseError `state-unreadable`
 */
export async function verifyAudit(files: readonly string[], wanted?: string): Promise<AuditVerdict> {
  let [lines, others, headFound] = [0, 0, wanted === undefined];
  let head: ChainHead | undefined;
  for await (const { file, number, text } of linesOf(files)) {
    const read = readChainLine(text);
    if (read === undefined) {
      others++;
      continue;
    }
    // The first file may begin in the middle: those before it were taken elsewhere.
    const isFirst = head === undefined && read.seq !== 1;
    if (!isFirst && !isNextLine(head ?? chainBegin, read))
      return { lines, others, head: head ?? chainBegin, broken: { file, line: number }, headFound };
    head = { seq: read.seq, hash: read.hash };
    headFound ||= read.hash === wanted;
    lines++;
  }
  return { lines, others, head: head ?? chainBegin, broken: undefined, headFound };
}

/** What lines are looked for; what is absent does not matter. */
export interface AuditSearch {
  /** Any of its texts contains this: a key, a name, an address, a grant. */
  readonly text?: string | undefined;
  readonly action?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** The lines that fit, as they stand. @throws EntremiseError `state-unreadable` */
export async function* searchAudit(
  files: readonly string[],
  { text, action, sinceMs, untilMs }: AuditSearch,
): AsyncGenerator<Readonly<Record<string, unknown>>, void> {
  for await (const { text: line } of linesOf(files)) {
    const value = parsed(line);
    if (value === undefined) continue;
    const timeMs = Date.parse(String(value.time));
    const verb = (value.command as { verb?: unknown } | undefined)?.verb;
    const wrong =
      (text !== undefined && !line.includes(JSON.stringify(text).slice(1, -1))) ||
      (action !== undefined && value.action !== action && verb !== action) ||
      (sinceMs !== undefined && !(timeMs >= sinceMs)) ||
      (untilMs !== undefined && !(timeMs < untilMs));
    if (!wrong) yield value;
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
