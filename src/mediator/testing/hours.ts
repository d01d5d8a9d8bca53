import type { Clock } from '../../base/clock.ts';
import { type Hours, parseHours } from '../../policy/hours.ts';

const two = (number: number) => String(number).padStart(2, '0');

/** Hours of every day from so many minutes behind a clock's time up to so many, wherever the test runs. */
export function hoursFrom(clock: Clock, fromMinutes: number, toMinutes: number): Hours {
  const text = [fromMinutes, toMinutes].map(minutes => {
    const date = new Date(clock.wallTimeMs() + minutes * 60_000);
    return `${two(date.getHours())}:${two(date.getMinutes())}`;
  });
  return parseHours(text.join('-'));
}
