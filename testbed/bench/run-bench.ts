import type { Bench } from './bench.ts';
import { reportJson, reportText } from './format.ts';
import { thisMachine } from './machine.ts';
import { type Run, rounded } from './report.ts';

/** How to run a bench. */
export interface BenchRequest {
  readonly bench: Bench;
  readonly quick: boolean;
  readonly json: boolean;
}

/** Runs a bench and gives its report as text. `progress` gets a line for each measurement. @throws what the bench throws */
export async function runBench(request: BenchRequest, progress: (line: string) => void): Promise<string> {
  const { bench, quick, json } = request;
  const machine = thisMachine();
  const runs: Run[] = [];
  const record = (run: Run) => {
    runs.push({ ...run, value: rounded(run.value) });
    progress(`${bench.name} round ${run.round}: ${run.what} ${rounded(run.value)} ${run.unit}`);
  };
  const figures = await bench.run({ quick, progress, record });
  const report = { name: bench.name, figures, machine, runs };
  return json ? reportJson(report) : reportText(report);
}
