import process from 'node:process';
import { asEntremiseError, EntremiseError } from '../base/errors.ts';
import { exitCodeFor } from './exit-codes.ts';

/**
 * What a person and what a program read. Everything that may come from a LAN or from another machine is shown with its
 * control characters made visible, so that no host name can drive the technician's terminal (P6, hostile text).
 */

/** Text for a person's terminal: control characters, and what turns the writing direction, are shown as escapes. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, sign => {
    return `\\u${(sign.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  });
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
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
      else for (const line of human) process.stdout.write(`${visible(line)}\n`);
    },
    status(text, fields = {}) {
      if (json) process.stderr.write(`${JSON.stringify({ status: text, ...fields })}\n`);
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
    process.stderr.write(
      `${JSON.stringify({ error: { code, message, ...(by === undefined ? {} : { by }) } })}\n`,
    );
  } else {
    process.stderr.write(`entremise: ${visible(error.message)} [${error.code}]\n`);
    if (error.code === 'internal' && error.cause instanceof Error)
      process.stderr.write(`${error.cause.stack ?? ''}\n`);
  }
  return exitCodeFor(error.code);
}

/** A `bad-usage` error. */
export function badUsage(message: string): EntremiseError {
  return new EntremiseError('bad-usage', { message });
}
