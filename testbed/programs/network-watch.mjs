// network-watch.mjs ADDON: says {"told": N} whenever the addon tells of a change of this network namespace, and first
// {"watching": true}. Ends with its standard input.
import { createRequire } from 'node:module';
import process from 'node:process';

const addon = createRequire(import.meta.url)(process.argv[2]);
let told = 0;
const watch = addon.watchNetwork(() => console.log(JSON.stringify({ told: ++told })));
console.log(JSON.stringify({ watching: typeof watch === 'number' }));
process.stdin.resume().on('end', () => addon.closeWatch(watch));
