import type { BenchContext } from './bench.ts';
import { median } from './median.ts';
import type { Variant } from './rounds.ts';

/** Two things that differ by less than a machine does from one minute to the next: compared at once, over and over. */

/**
 * Measures both, one right after the other, and gives `one / other` of each pair. Every second pair is the other way round, so
 * that a machine that becomes faster or slower favours neither. Every value goes into the report.
 * @throws RangeError when `other` is not above 0
 */
export async function pairedRatios(
  context: BenchContext,
  pairs: number,
  one: Variant,
  other: Variant,
): Promise<readonly number[]> {
  const ratios: number[] = [];
  for (let round = 1; round <= pairs; round++) {
    const taken = new Map<Variant, number>();
    for (const variant of round % 2 === 1 ? [one, other] : [other, one]) {
      const value = await variant.measure();
      taken.set(variant, value);
      context.record({ round, what: variant.what, value, unit: variant.unit });
    }
    const divisor = taken.get(other) ?? 0;
    if (!(divisor > 0)) throw new RangeError(`nothing can be compared with ${divisor} (pair ${round})`);
    ratios.push((taken.get(one) ?? 0) / divisor);
  }
  return ratios;
}

/** Of a normal distribution the median distance from its median is so many of its standard deviations. */
const medianDistance = 0.6745;

/** And the median of many of its values errs by so much more than their mean. */
const medianLoss = Math.sqrt(Math.PI / 2);

/**
 * How far the median of these values may be from that of ever more of them: its standard error, as far as they are normally
 * distributed, whatever a few of them are. @throws as {@link median}
 */
export function errorOfMedian(values: readonly number[]): number {
  const middle = median(values);
  const deviation = median(values.map(value => Math.abs(value - middle))) / medianDistance;
  return (medianLoss * deviation) / Math.sqrt(values.length);
}
