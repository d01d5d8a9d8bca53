import { randomInt } from 'node:crypto';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { labSupport } from 'netns-test-helpers';
import { asEntremiseError, EntremiseError } from '../../src/base/errors.ts';
import { reasonForNoBox } from '../topologies/box.ts';
import { type FlapReport, runFlaps } from './flaps.ts';
import { footprintText } from './footprint.ts';
import { runSoak, type SoakReport } from './soak.ts';

const help = `npm run soak -- [--minutes N] [--seed S] [--flaps N] [--box] [--json]

The usual load while one thing after the other goes wrong, as the seed decides: every byte once and in order, every
command answered, nothing kept. 10 minutes and a new seed when left out; the seed is the first thing that is said.

With --box the mediator runs as on a small gateway: 128 MiB, a quarter of a processor, a root that cannot be written; nothing
of it may be ended for want of memory.

With --flaps the links are cut that many times instead, one cut after the other, and nothing may be kept by that: no number,
no listener, no descriptor, no memory.

Ends with 0 when all was as it must be, 1 when not, 2 for a wrong command line, 3 where there can be no namespaces.`;

function badUsage(message: string): EntremiseError {
  return new EntremiseError('bad-usage', { message: `${message} See npm run soak -- --help.` });
}

function numberOf(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text !== '' && value >= 0 && value <= most) return value;
  throw badUsage(`--${name} is a number from 0 to ${most}, not ${JSON.stringify(text)}.`);
}

function readOptions() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({
      options: { minutes: text, seed: text, flaps: text, box: flag, json: flag, help: flag },
    }).values;
  } catch (cause) {
    throw badUsage(`${cause instanceof Error ? cause.message : String(cause)}.`);
  }
}

function rank(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function reportLines({ seed, minutes, happened, flaws }: SoakReport): string[] {
  const recovered = happened.map(({ recoveredMs }) => recoveredMs).toSorted((a, b) => a - b);
  const [p50, p95, most] = [0.5, 0.95, 1].map(share => rank(recovered, share));
  return [
    `${happened.length} mishaps in ${minutes.toFixed(1)} minutes, seed ${seed}`,
    `all streams moved again after ${p50} ms (median), ${p95} ms (p95), ${most} ms (most)`,
    ...(flaws.length === 0 ? ['nothing lost, nothing failed, nothing kept'] : flaws),
  ];
}

function flapLines({ flaps, minutes, before, after, flaws }: FlapReport): string[] {
  const growth = Object.entries(after).map(
    ([name, now]) => `${name}: ${footprintText(before[name] ?? now)}; now ${footprintText(now)}`,
  );
  return [
    `${flaps} cuts in ${minutes.toFixed(1)} minutes`,
    ...growth,
    ...(flaws.length === 0 ? ['nothing lost, nothing failed, nothing kept'] : flaws),
  ];
}

const say = (line: string) => void process.stderr.write(`${line}\n`);

function print(report: SoakReport | FlapReport, lines: readonly string[], json: boolean): number {
  process.stdout.write(`${json ? JSON.stringify(report) : lines.join('\n')}\n`);
  return report.flaws.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  try {
    const options = readOptions();
    if (options.help) {
      process.stdout.write(`${help}\n`);
      return 0;
    }
    const support = labSupport();
    if (!support.ok || !support.ready)
      throw new EntremiseError('environment-unfit', { message: 'There can be no network namespaces here.' });
    const noBox = options.box ? reasonForNoBox() : undefined;
    if (noBox !== undefined)
      throw new EntremiseError('environment-unfit', { message: `There can be no box here: ${noBox}.` });
    const flaps = numberOf('flaps', options.flaps, 10_000_000);
    if (flaps !== undefined) {
      const report = await runFlaps({ flaps, say });
      return print(report, flapLines(report), options.json);
    }
    const report = await runSoak({
      seed: Math.floor(numberOf('seed', options.seed, 2 ** 32 - 1) ?? randomInt(2 ** 32)),
      minutes: numberOf('minutes', options.minutes, 100_000) ?? 10,
      boxed: options.box,
      say,
    });
    return print(report, reportLines(report), options.json);
  } catch (thrown) {
    const { code, message } = asEntremiseError(thrown);
    process.stderr.write(`soak: ${message}\n`);
    if (code === 'bad-usage') return 2;
    return code === 'environment-unfit' ? 3 : 1;
  }
}

process.exitCode = await main();
