import type { History } from './history.ts';

/** A history that once failed, and what it showed. */
export interface Regression extends History {
  readonly name: string;
}

const kib = 1024;
/** A world in which nothing is scarce. */
export const plainWorld = {
  terminals: 1,
  budgetBytes: 64 * kib,
  wireBytes: 8 * kib,
  holdMs: 20_000,
  standing: false,
  haste: 1,
  limits: {},
};

/** One step. */
export const step = (what: string, pick = 0, amount = 0) => ({ what, pick, amount });

/** Replayed before anything random. */
export const regressions: readonly Regression[] = [
  {
    name: 'a stream that was aborted before the attachment had its first label is reset at the far end too',
    options: plainWorld,
    steps: [step('detach'), step('attach'), step('connect'), step('abortAfterData', 15)],
  },
];
