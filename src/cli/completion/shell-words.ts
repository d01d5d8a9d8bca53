import type { Place, ValueKind } from './command-table.ts';

/** What the scripts for all shells say in the same words. */

/** A word of a POSIX shell. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A kind of value as one word: `other`, or `=` and what it is one of. */
export function kindWord(kind: ValueKind): string {
  return typeof kind === 'string' ? kind : `=${kind.oneOf.join(' ')}`;
}

/** `case` branches that print a word for what is expected at a place, by number. */
export function argumentCases(places: readonly Place[]): string {
  return places
    .flatMap(({ path, values, variadic }) =>
      values.map((kind, index) => {
        const last = variadic && index === values.length - 1;
        const pattern = last ? `${shellWord(`${path} `)}*` : shellWord(`${path} ${index}`);
        return `    ${pattern}) echo ${shellWord(kindWord(kind))} ;;`;
      }),
    )
    .join('\n');
}

/** `case` branches that print a word for the value that an option takes; others take none. */
export function valueCases(places: readonly Place[]): string {
  return places
    .flatMap(({ path, options }) =>
      options.flatMap(({ word, value }) =>
        value === undefined
          ? []
          : [`    ${shellWord(`${path} ${word}`)}) echo ${shellWord(kindWord(value))} ;;`],
      ),
    )
    .join('\n');
}

/** Where the names of mediators are that a terminal has seen last, one a line. */
export const namesFile = 'mediators.names';
