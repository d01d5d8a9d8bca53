import type { Clock } from '../base/clock.ts';

/** A timer of Node waits 2^31 - 1 ms at most; what is longer would run at once. */
const longestMs = 24 * 3_600_000;

/** Calls `run` once the monotonic clock has reached `atMs`, however far that is (a grant lives up to 30 days). Returns the cancel. */
export function at(clock: Clock, atMs: number, run: () => void): () => void {
  if (atMs === Number.POSITIVE_INFINITY) return () => {};
  let cancel = () => {};
  const arm = () => {
    const leftMs = atMs - clock.now();
    cancel = leftMs > longestMs ? clock.after(longestMs, arm) : clock.after(leftMs, run);
  };
  arm();
  return () => cancel();
}
