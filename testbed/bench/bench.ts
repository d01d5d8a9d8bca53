import type { Figure, Run } from './report.ts';

/** What a bench gets. */
export interface BenchContext {
  /** The short version: a few seconds, for tests that ask whether the bench still works. Its figures mean little. */
  readonly quick: boolean;
  /** A line for whoever waits, on stderr. */
  progress(line: string): void;
  /** Keeps a measurement for the report, and shows it. */
  record(run: Run): void;
}

/** A bench: one file of this folder, and one line in registry.ts. */
export interface Bench {
  /** What is typed: `npm run bench -- <name>`. */
  readonly name: string;
  /** One sentence for the list. */
  readonly summary: string;
  /**
   * Measures. Leaves nothing behind, however it ends.
   * @throws EntremiseError `environment-unfit` when the machine cannot run it; anything else is a fault
   */
  run(context: BenchContext): Promise<readonly Figure[]>;
}
