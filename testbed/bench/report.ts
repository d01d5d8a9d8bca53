/** What a bench gives: figures against their goals, and the single measurements that they come from. */

/** What a figure should reach. */
export interface Goal {
  readonly is: 'at-least' | 'at-most';
  readonly value: number;
}

/** One result of a bench. */
export interface Figure {
  /** Unique among all benches: begins with the bench's name, as `tcp.vs_direct`. */
  readonly name: string;
  readonly value: number;
  /** `ratio`, `MB`, `Gbit/s`, `ms` ... */
  readonly unit: string;
  /** Undefined for a figure that is only told. */
  readonly goal: Goal | undefined;
}

/** One measurement, as it was taken. */
export interface Run {
  /** 1 for the first round; the rounds follow each other, so that what the machine does besides hits all alike. */
  readonly round: number;
  /** What was measured, as `ssh-aes128-gcm.up`. */
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}

/** The machine, since no absolute number means anything without it. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the last minute before the bench began: above 0.5 a core something else was running. */
  readonly loadBefore: number;
}

/** All of one bench. */
export interface Report {
  readonly name: string;
  readonly figures: readonly Figure[];
  readonly machine: Machine;
  readonly runs: readonly Run[];
}

/** True when the figure reaches its goal; undefined when it has none. Judged on the value as it is shown. */
export function isMet({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  const shown = rounded(value);
  return goal.is === 'at-least' ? shown >= goal.value : shown <= goal.value;
}

/** Three significant digits: more would promise a precision that a shared machine does not have. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** A goal from below: a ratio, a throughput. */
export function atLeast(value: number): Goal {
  return { is: 'at-least', value };
}

/** A goal from above: memory, a latency. */
export function atMost(value: number): Goal {
  return { is: 'at-most', value };
}
