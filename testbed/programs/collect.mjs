// Preloaded into a program of which is to be known what it holds, and not what it has yet to give back: upon SIGWINCH, which
// means nothing to a program without a terminal, it collects its garbage, has the C heap give back the pages that hold nothing,
// and says on stderr what is left.
import { createRequire } from 'node:module';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const { trimHeap } = createRequire(import.meta.url)('../../dist/bundle/entremise.node');
let collected = 0;

process.on('SIGWINCH', () => {
  collect();
  // What the first has finalised is gone after the second.
  setImmediate(() => {
    collect();
    trimHeap();
    const { heapUsed, external } = process.memoryUsage();
    collected += 1;
    const left = { collected, heapMb: heapUsed / 1e6, externalMb: external / 1e6 };
    process.stderr.write(`${JSON.stringify(left)}\n`);
  });
});
