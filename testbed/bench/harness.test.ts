import test from 'ava';
import { readArguments } from './arguments.ts';
import type { Bench } from './bench.ts';
import { reportText } from './format.ts';
import { benches } from './registry.ts';
import { atLeast, atMost, isMet, type Report } from './report.ts';
import { measureRounds, valuesOf } from './rounds.ts';
import { runBench } from './run-bench.ts';

/** A bench that counts: what it measures first is 1, then 2, and so on. */
function countingBench(): Bench {
  let measured = 0;
  const variant = (what: string) => ({ what, unit: 'MB', measure: async () => ++measured });
  return {
    name: 'counting',
    summary: 'counts',
    async run(context) {
      const values = await measureRounds(context, context.quick ? 1 : 2, [variant('a'), variant('b')]);
      const [first = 0] = valuesOf(values, 'a');
      return [
        { name: 'counting.first_mb', value: first, unit: 'MB', goal: atMost(1) },
        { name: 'counting.last_mb', value: measured, unit: 'MB', goal: undefined },
      ];
    },
  };
}

test('variants are measured in turn, round after round', async t => {
  const lines: string[] = [];
  await runBench({ bench: countingBench(), quick: false, json: false }, line => lines.push(line));
  t.deepEqual(lines, [
    'counting round 1: a 1 MB',
    'counting round 1: b 2 MB',
    'counting round 2: a 3 MB',
    'counting round 2: b 4 MB',
  ]);
});

test('--json gives name, figures, machine and every run', async t => {
  const text = await runBench({ bench: countingBench(), quick: true, json: true }, () => {});
  const { name, figures, machine, runs } = JSON.parse(text);
  t.is(name, 'counting');
  t.deepEqual(figures, [
    { name: 'counting.first_mb', value: 1, unit: 'MB', goal: '<= 1', met: true },
    { name: 'counting.last_mb', value: 2, unit: 'MB', goal: null, met: null },
  ]);
  t.true(machine.cores > 0);
  t.deepEqual(runs, [
    { round: 1, what: 'a', value: 1, unit: 'MB' },
    { round: 1, what: 'b', value: 2, unit: 'MB' },
  ]);
});

test('a goal is judged on the value that is shown', t => {
  const figure = (value: number, goal = atLeast(0.4)) => ({ name: 'x.y', value, unit: 'ratio', goal });
  t.true(isMet(figure(0.3999)));
  t.false(isMet(figure(0.399)));
  t.true(isMet(figure(55.04, atMost(55))));
  t.false(isMet(figure(55.1, atMost(55))));
});

test('the table says which goals are missed', t => {
  const machine = {
    cpu: 'a cpu',
    cores: 2,
    memoryMb: 1,
    kernel: '6.1',
    node: '20.19.0',
    loadBefore: 0.1,
  };
  const report: Report = {
    name: 'x',
    machine,
    runs: [],
    figures: [
      { name: 'x.ratio', value: 0.31234, unit: 'ratio', goal: atLeast(0.4) },
      { name: 'x.size_mb', value: 50, unit: 'MB', goal: atMost(55) },
      { name: 'x.told', value: 1, unit: 'ms', goal: undefined },
    ],
  };
  t.is(
    reportText(report),
    [
      'figure     value  unit   goal',
      'x.ratio    0.312  ratio  >= 0.4  MISSED',
      'x.size_mb  50     MB     <= 55   met',
      'x.told     1      ms',
      '',
      '2 cores a cpu, Linux 6.1, Node 20.19.0, load before 0.1',
    ].join('\n'),
  );
});

test('the command line names one bench and its options', t => {
  const bench = countingBench();
  t.deepEqual(readArguments(['counting', '--quick'], [bench]), {
    is: 'run',
    bench,
    quick: true,
    json: false,
  });
  t.deepEqual(readArguments(['--help'], [bench]), { is: 'help' });
});

test('a wrong command line says what there is', t => {
  const refused = (...argv: string[]) =>
    t.throws(() => readArguments(argv, [countingBench()]), { message: /--help/ })?.message;
  t.regex(refused() ?? '', /There are: counting/);
  t.regex(refused('nothing') ?? '', /no bench "nothing"/);
  t.regex(refused('counting', 'more') ?? '', /One bench at a time/);
  t.regex(refused('counting', '--fast') ?? '', /--fast/);
});

test('every bench has a name of its own', t => {
  const names = benches.map(({ name }) => name);
  t.is(new Set(names).size, names.length);
});
