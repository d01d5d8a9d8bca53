import { quoted } from '../policy/target.ts';
import { badUsage } from './output.ts';

/** What `grant create --limit` can bound, as the grant's `limits` names it (docs/security.md). */
const limitNames = ['ports', 'streams', 'newStreamsPerSecond', 'bytesPerSecond'] as const;

type LimitName = (typeof limitNames)[number];

function isLimitName(text: string): text is LimitName {
  return (limitNames as readonly string[]).includes(text);
}

/**
 * Bounds given as `name=number`; undefined when there are none. How large each may be is the grant's own rule.
 * @throws EntremiseError `bad-usage` for another name, no whole number, or a name said twice
 */
export function parseLimits(texts: readonly string[] = []): Partial<Record<LimitName, number>> | undefined {
  const limits: Partial<Record<LimitName, number>> = {};
  for (const text of texts) {
    const [, name = '', number] = /^([A-Za-z]+)=(\d{1,15})$/.exec(text) ?? [];
    if (!isLimitName(name) || limits[name] !== undefined) {
      throw badUsage(
        `--limit is name=number with each name once, of ${limitNames.join(', ')}; not ${quoted(text)}.`,
      );
    }
    limits[name] = Number(number);
  }
  return texts.length === 0 ? undefined : limits;
}
