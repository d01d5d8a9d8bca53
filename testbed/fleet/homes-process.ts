import process from 'node:process';
import { homeAddress, homeDirectory } from './fleet-site.ts';
import { startSimulatedMediator } from './simulated-mediator.ts';

/**
 * `node homes-process.js <directory> <first> <count>`: so many homes. Tells on stdout, a line each, when one is `up` or
 * `down`: `<word> <home> <milliseconds>`, by the machine's monotonic clock, which all processes share.
 */

const [directory = '', first = '0', count = '0'] = process.argv.slice(2);

function tell(word: string, index: number): void {
  process.stdout.write(`${word} ${index} ${Number(process.hrtime.bigint()) / 1e6}\n`);
}

for (let index = Number(first); index < Number(first) + Number(count); index++) {
  await startSimulatedMediator({
    directory: homeDirectory(directory, index),
    address: homeAddress(index),
    onOnline: () => tell('up', index),
    onOffline: () => tell('down', index),
  });
}
// Between two tries nothing else keeps the process.
setInterval(() => {}, 2 ** 30);
process.once('SIGTERM', () => process.exit());
