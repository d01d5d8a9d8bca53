import { EntremiseError } from '../base/errors.ts';
import { quoted } from './target.ts';

/** Port numbers from `first` to `last`, both included, 1 to 65535. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/** Numbers below this are those of system services (RFC 6335 §6) and are bound only when named. */
export const firstOrdinaryNumber = 1024;

/** Every number. */
export const allNumbers: NumberRange = { first: 1, last: 65_535 };

/**
 * Reads `80` or `8000-8999`.
 * @throws EntremiseError `bad-request` when it is neither, outside 1 to 65535, or runs backwards
 */
export function parseNumberRange(text: string): NumberRange {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1] ?? 0);
  const last = Number(match?.[2] ?? match?.[1] ?? 0);
  if (first >= 1 && first <= last && last <= allNumbers.last) return { first, last };
  throw new EntremiseError('bad-request', {
    message: `${quoted(text)} is not a range of port numbers; write it like 80 or 8000-8999, within 1-65535.`,
  });
}

/** `80` or `8000-8999`. */
export function numberRangeText(range: NumberRange): string {
  return range.first === range.last ? `${range.first}` : `${range.first}-${range.last}`;
}

/** True when one of the ranges contains the number. */
export function rangesContain(ranges: readonly NumberRange[], number: number): boolean {
  return ranges.some(range => range.first <= number && number <= range.last);
}

/** True when a range is this one number and no other. */
export function rangesName(ranges: readonly NumberRange[], number: number): boolean {
  return ranges.some(range => range.first === number && range.last === number);
}

/**
 * The part of the ranges that a port may be bound to: a number below 1024 only counts where a range lies below 1024 as
 * a whole, so that `1-65535` opens no system service by accident.
 */
export function bindableRanges(ranges: readonly NumberRange[]): readonly NumberRange[] {
  const known = bindable.get(ranges);
  if (known !== undefined) return known;
  const found = ranges
    .map(range =>
      range.last < firstOrdinaryNumber
        ? range
        : { first: Math.max(range.first, firstOrdinaryNumber), last: range.last },
    )
    .filter(range => range.first <= range.last);
  bindable.set(ranges, found);
  return found;
}

/** Of the lists of grants and owners, which nobody changes: each is asked about with every port. */
const bindable = new WeakMap<readonly NumberRange[], readonly NumberRange[]>();

/** The numbers that lie in both, in rising order of their first. */
export function intersectRanges(left: readonly NumberRange[], right: readonly NumberRange[]): NumberRange[] {
  const both = left.flatMap(a =>
    right.map(b => ({ first: Math.max(a.first, b.first), last: Math.min(a.last, b.last) })),
  );
  return both.filter(range => range.first <= range.last).sort((a, b) => a.first - b.first);
}
