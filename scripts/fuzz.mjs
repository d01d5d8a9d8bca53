// npm run fuzz [-- --seconds N | --runs N] [--seed N]: random histories of terminal, server and mediator (docs/testbed.md).
// Ends with 1 and the shortest history that fails; --seed gives the same histories again.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { root, setUp } from './setup.mjs';

const whole = { type: 'string' };
const { values } = parseArgs({ options: { seconds: whole, runs: whole, seed: whole } });
for (const [name, value] of Object.entries(values)) {
  if (/^\d+$/.test(value)) continue;
  console.error(`--${name} wants a whole number. Usage: npm run fuzz [-- --seconds N | --runs N] [--seed N]`);
  process.exit(2);
}

setUp(['build']);
build();
const { checkHistories } = await import(`${root}dist/src/switch/testing/path/history.js`);

const batch = 1000;
const runs = values.runs === undefined ? Number.POSITIVE_INFINITY : Number(values.runs);
const endMs =
  values.runs === undefined ? Date.now() + 1000 * Number(values.seconds ?? 60) : Number.POSITIVE_INFINITY;
let seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
let done = 0;
while (done < runs && Date.now() < endMs) {
  try {
    const looked = await checkHistories(Math.min(batch, runs - done), seed);
    done += looked.histories;
    console.log(
      `seed ${seed}: ${looked.histories} histories, ${looked.streams} streams, ${looked.resentBytes} bytes sent again`,
    );
  } catch (failure) {
    console.error(`seed ${seed} fails after ${done} good histories. ${failure.message}`);
    console.error(`Again: npm run fuzz -- --runs ${batch} --seed ${seed}`);
    process.exit(1);
  }
  seed++;
}
console.log(`${done} histories, none fails`);
