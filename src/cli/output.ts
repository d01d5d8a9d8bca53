import process from 'node:process';
import { asEntremiseError, EntremiseError } from '../base/errors.ts';
import { exitCodeFor } from './exit-codes.ts';

/**
 * What a person and what a program read. Everything that may come from a LAN or from another machine is shown with its
 * control characters made visible, so that no host name can drive the technician's terminal (P6, hostile text).
 */

/**
 * What a terminal acts upon, or what makes text look other than it is: control characters, those that turn the writing
 * direction or take no room, separators of lines, halves of surrogate pairs (Unicode's Cc, Cf, Cs, Zl, Zp).
 */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** `\uXXXX` for each unit of UTF-16, as JSON writes it. */
function escaped(sign: string): string {
  const units = Array.from({ length: sign.length }, (_, index) => sign.charCodeAt(index));
  return units.map(unit => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** Text for a person's terminal: what is not to be seen, and acts all the same, is shown as escapes. */
export function visible(text: string): string {
  return text.replace(invisible, escaped);
}

/** JSON on one line, which means the same to a program and does nothing to a terminal. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(invisible, escaped)}\n`;
}

/** Who reads may have read enough, as `head` does: then the program ends without a word. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

let watched = false;

/** Writes to stdout; when nobody reads there any more the program ends. */
export function print(text: string): void {
  if (!watched) process.stdout.on('error', endWithReader);
  watched = true;
  process.stdout.write(text);
}

/** Where output goes. */
export interface Output {
  /** True when `--json` was given. */
  readonly json: boolean;
  /** A result: `human` lines for people, or one JSON line of `value`. */
  result(value: unknown, human: readonly string[]): void;
  /** Progress for people, on stderr; with `--json` one JSON line on stderr. */
  status(text: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Output to stdout and stderr of this process. */
export function createOutput(json: boolean): Output {
  return {
    json,
    result(value, human) {
      if (json) print(jsonLine(value));
      else for (const line of human) print(`${visible(line)}\n`);
    },
    status(text, fields = {}) {
      if (json) process.stderr.write(jsonLine({ status: text, ...fields }));
      else process.stderr.write(`${visible(text)}\n`);
    },
  };
}

/** Columns as people read them: each as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const shown = rows.map(row => row.map(visible));
  const widths: number[] = [];
  for (const row of shown)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return shown.map(row =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Tells a failure once, on stderr, and gives the exit code for it. */
export function reportFailure(thrown: unknown, json: boolean): number {
  const error = asEntremiseError(thrown);
  if (json) {
    const { code, message, by } = error;
    process.stderr.write(jsonLine({ error: { code, message, ...(by === undefined ? {} : { by }) } }));
  } else {
    process.stderr.write(`entremise: ${visible(error.message)} [${error.code}]\n`);
    const stack = error.code === 'internal' && error.cause instanceof Error ? error.cause.stack : undefined;
    for (const line of stack?.split('\n') ?? []) process.stderr.write(`${visible(line)}\n`);
  }
  return exitCodeFor(error.code);
}

/** A `bad-usage` error. */
export function badUsage(message: string): EntremiseError {
  return new EntremiseError('bad-usage', { message });
}
