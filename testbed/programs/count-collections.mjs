// Preloaded into a program of which is to be known how V8 collects in it: upon SIGWINCH, which means nothing to a program without a
// terminal, it says on stderr how often more than the young generation was collected, or marked in steps.
import { constants, PerformanceObserver } from 'node:perf_hooks';
import process from 'node:process';

let beyondYoung = 0;
let asked = 0;

new PerformanceObserver(list => {
  for (const { detail } of list.getEntries())
    if (detail.kind !== constants.NODE_PERFORMANCE_GC_MINOR) beyondYoung += 1;
}).observe({ entryTypes: ['gc'] });

process.on('SIGWINCH', () => {
  asked += 1;
  process.stderr.write(`${JSON.stringify({ asked, beyondYoung })}\n`);
});
