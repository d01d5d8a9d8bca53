import { EntremiseError } from '../base/errors.ts';
import { quoted } from '../policy/target.ts';

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Milliseconds of `90s`, `10m`, `12h` or `30d`.
 * @throws EntremiseError `bad-usage`
 */
export function parseDuration(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = match?.[2] as keyof typeof unitMs | undefined;
  if (match?.[1] !== undefined && unit !== undefined && Number(match[1]) > 0)
    return Number(match[1]) * unitMs[unit];
  throw new EntremiseError('bad-usage', {
    message: `${quoted(text)} is no duration; write it like 90s, 10m, 12h or 30d.`,
  });
}

/** `ms` as people say it, in its largest whole unit or two: `3 d 4 h`, `12 min`, `5 s`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}
