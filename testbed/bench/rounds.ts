import { EntremiseError } from '../../src/base/errors.ts';
import type { BenchContext } from './bench.ts';

/** One of the things that are compared. */
export interface Variant {
  /** As it stands in the report's runs. */
  readonly what: string;
  readonly unit: string;
  /** Takes one measurement. */
  measure(): Promise<number>;
}

/** The values of each variant, by round. */
export type RoundValues = ReadonlyMap<string, readonly number[]>;

/** @throws EntremiseError `internal`: which of them failed, and why */
async function measured({ what, measure }: Variant): Promise<number> {
  try {
    return await measure();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EntremiseError('internal', { message: `${what}: ${why}`, cause });
  }
}

/**
 * Measures all variants in turn, `count` times (A B C, A B C ...), so that whatever else the machine does falls on all of
 * them. Every value goes into the report.
 * @throws EntremiseError `internal` with the name of the variant that failed
 */
export async function measureRounds(
  context: BenchContext,
  count: number,
  variants: readonly Variant[],
): Promise<RoundValues> {
  const values = new Map<string, number[]>(variants.map(({ what }) => [what, []]));
  for (let round = 1; round <= count; round++) {
    for (const variant of variants) {
      const { what, unit } = variant;
      const value = await measured(variant);
      values.get(what)?.push(value);
      context.record({ round, what, value, unit });
    }
  }
  return values;
}

/** The values of one variant. @throws RangeError when it was not measured */
export function valuesOf(values: RoundValues, what: string): readonly number[] {
  const found = values.get(what);
  if (found === undefined) throw new RangeError(`${what} was not measured`);
  return found;
}

/** Everything runs once before it counts: some of the programs are compiled while they run. Throws as {@link measureRounds}. */
export async function warmUp(context: BenchContext, variants: readonly Variant[]): Promise<void> {
  if (context.quick) return;
  context.progress('a round that does not count');
  for (const variant of variants) await measured(variant);
}
