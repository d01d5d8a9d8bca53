import { quoted } from './target.ts';

/**
 * Hours of the week in which the owner of a gateway lets anybody in, by the gateway's local time: `mon-fri 08:00-18:00`,
 * `sat,sun 10:00-12:00`, `22:00-06:00`. Pure: what time it is comes from outside.
 */

const dayNames = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const minutesPerDay = 24 * 60;

/** Minutes of a week, which begins on Monday at midnight. */
export const minutesPerWeek = 7 * minutesPerDay;

/** One entry of a policy's `hours`. */
export interface Hours {
  /** As the owner wrote it. */
  readonly text: string;
  /** From a minute of the week up to another, which lies in the next week when it is beyond the end of this one. */
  readonly spans: readonly { readonly from: number; readonly to: number }[];
}

function fail(text: string, why: string): never {
  throw new Error(
    `${quoted(text)} ${why}; write hours like "mon-fri 08:00-18:00", "sat,sun 10:00-12:00" or "22:00-06:00"`,
  );
}

function daysOf(text: string, words: string): number[] {
  const indexOf = (name: string) => {
    const index = (dayNames as readonly string[]).indexOf(name);
    return index < 0 ? fail(text, `names no day by "${name.slice(0, 10)}"`) : index;
  };
  return words.split(',').flatMap(word => {
    const [first = '', last = first, ...more] = word.split('-');
    if (more.length > 0) fail(text, 'has no days like mon-fri');
    const [from, to] = [indexOf(first), indexOf(last)];
    const count = ((to - from + 7) % 7) + 1;
    return Array.from({ length: count }, (_, index) => (from + index) % 7);
  });
}

function minuteOf(hours: string, minutes: string): number {
  const value = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && value <= minutesPerDay ? value : Number.NaN;
}

/**
 * Reads one entry. Hours whose end is not behind their beginning go on into the next day.
 * @throws Error that says what is wrong and how to write it
 */
export function parseHours(text: string): Hours {
  const found = /^(?:([a-z,-]+) +)?(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/.exec(text.trim().toLowerCase());
  if (found === null) return fail(text, 'is not understood');
  const [, days, fromHours = '', fromMinutes = '', toHours = '', toMinutes = ''] = found;
  const [from, to] = [minuteOf(fromHours, fromMinutes), minuteOf(toHours, toMinutes)];
  if (Number.isNaN(from) || Number.isNaN(to) || from === minutesPerDay)
    return fail(text, 'has a time that is none');
  if (from === to) return fail(text, 'is no time at all');
  const length = to > from ? to - from : to - from + minutesPerDay;
  const starts = (days === undefined ? [0, 1, 2, 3, 4, 5, 6] : daysOf(text, days)).map(
    day => day * minutesPerDay + from,
  );
  return { text: text.trim(), spans: starts.map(start => ({ from: start, to: start + length })) };
}

/** True when that minute of the week lies in one of these hours. */
export function hoursContain(hours: readonly Hours[], weekMinute: number): boolean {
  const isIn = (minute: number) =>
    hours.some(({ spans }) => spans.some(({ from, to }) => minute >= from && minute < to));
  return isIn(weekMinute) || isIn(weekMinute + minutesPerWeek);
}
