import type { Registry } from 'prom-client';

/** Figures as rows: what they are called, and where their values come from. */

/** Sets of labels with the value of each. */
export type Series = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

/** One figure. */
export type MetricRow = readonly [name: string, help: string, labels: readonly string[], read: () => Series];

/** The package that makes them, which is loaded where it is wanted. */
export type GaugeMaker = Pick<typeof import('prom-client'), 'Gauge'>;

/** Adds figures, each read anew whenever somebody asks. */
export function addMetrics(registry: Registry, { Gauge }: GaugeMaker, rows: readonly MetricRow[]): void {
  for (const [name, help, labelNames, read] of rows)
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
}
