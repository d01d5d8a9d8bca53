/**
 * The middle value; of an even number the mean of the middle two.
 * @throws RangeError for no values, or one that is no number
 */
export function median(values: readonly number[]): number {
  if (values.length === 0 || !values.every(Number.isFinite))
    throw new RangeError(`no median of [${values.join(', ')}]`);
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/**
 * Median of `ours[i] / theirs[i]`. The ratio is taken within each round, where both had the same machine, and not
 * between two medians, which may come from different minutes.
 * @throws RangeError when the two do not have the same number of rounds, or a divisor is not above 0
 */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length)
    throw new RangeError(`${ours.length} rounds cannot be compared with ${theirs.length}`);
  return median(
    ours.map((value, round) => {
      const other = theirs[round] ?? 0;
      if (!(other > 0)) throw new RangeError(`nothing can be compared with ${other} (round ${round + 1})`);
      return value / other;
    }),
  );
}
