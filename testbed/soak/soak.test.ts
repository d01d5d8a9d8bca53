import test from 'ava';
import { labSupport } from 'netns-test-helpers';
import { Chance } from './chance.ts';
import { leaksOf } from './footprint.ts';
import { allMishaps } from './mishaps.ts';
import { runSoak } from './soak.ts';

test('a seed decides the course, and another decides another', t => {
  const course = (seed: number) => {
    const chance = new Chance(seed);
    return Array.from({ length: 20 }, () => [chance.pick(allMishaps()).name, chance.magnitude(50, 60_000)]);
  };
  t.deepEqual(course(7), course(7));
  t.notDeepEqual(course(7), course(8));
});

test('chance keeps to its bounds and reaches all of them', t => {
  const chance = new Chance(1);
  const values = Array.from({ length: 2_000 }, () => chance.magnitude(1, 1_000));
  t.true(values.every(value => value >= 1 && value < 1_000));
  for (const [least, most] of [
    [1, 10],
    [10, 100],
    [100, 1_000],
  ] as const)
    t.true(values.filter(value => value >= least && value < most).length > 500, `${least} to ${most}`);
});

test('what grows is told, what varies is not', t => {
  const before = { heapMb: 10, externalMb: 10, residentMb: 60, descriptors: 30 };
  const varied = { heapMb: 14, externalMb: 16, residentMb: 85, descriptors: 33 };
  t.deepEqual(leaksOf('mediator', before, varied), []);
  const grown = { heapMb: 16, externalMb: 18, residentMb: 90, descriptors: 34 };
  t.deepEqual(leaksOf('mediator', before, grown), [
    'mediator: 16.0 MB of heap, 10.0 before',
    'mediator: 18.0 MB of buffers, 10.0 before',
    'mediator: 90.0 MB resident, 60.0 before',
    'mediator: 34 descriptors, 30 before',
  ]);
});

const support = labSupport();
const ready = support.ok && support.ready;

(ready ? test : test.skip)(
  'six mishaps of a short soak cost no byte, no command and no descriptor',
  async t => {
    t.timeout(150_000);
    const lines: string[] = [];
    const say = (line: string) => void lines.push(line);
    const report = await runSoak({ seed: 20_261_129, minutes: 2, mishaps: 6, longestMs: 2_500, say }).catch(
      error => {
        for (const line of lines) t.log(line);
        throw error;
      },
    );
    for (const line of lines) t.log(line);
    t.deepEqual(report.flaws, []);
    t.is(report.happened.length, 6);
  },
);
