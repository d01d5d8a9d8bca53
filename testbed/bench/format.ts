import { type Figure, type Goal, isMet, type Report, rounded } from './report.ts';

/** A goal as people write it, `>= 0.4`; also its form in JSON. */
export function goalText(goal: Goal | undefined): string | undefined {
  return goal && `${goal.is === 'at-least' ? '>=' : '<='} ${goal.value}`;
}

function metText(figure: Figure): string {
  const met = isMet(figure);
  if (met === undefined) return '';
  return met ? 'met' : 'MISSED';
}

/** Rows as people read them: each column as wide as its widest cell. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const width = (column: number) => Math.max(...rows.map(row => row[column]?.length ?? 0));
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(width(column)))
      .join('  ')
      .trimEnd(),
  );
}

/** A report for people. */
export function reportText(report: Report): string {
  const { machine, figures } = report;
  const rows = figures.map(figure => [
    figure.name,
    String(rounded(figure.value)),
    figure.unit,
    goalText(figure.goal) ?? '',
    metText(figure),
  ]);
  return [
    ...columns([['figure', 'value', 'unit', 'goal', ''], ...rows]),
    '',
    `${machine.cores} cores ${machine.cpu}, Linux ${machine.kernel}, Node ${machine.node}, load before ${machine.loadBefore}`,
  ].join('\n');
}

/** A report for programs, one line. `goal` and `met` are null where a figure has no goal. */
export function reportJson(report: Report): string {
  const { name, machine, runs } = report;
  const figures = report.figures.map(figure => ({
    name: figure.name,
    value: rounded(figure.value),
    unit: figure.unit,
    goal: goalText(figure.goal) ?? null,
    met: isMet(figure) ?? null,
  }));
  return JSON.stringify({ name, figures, machine, runs });
}
