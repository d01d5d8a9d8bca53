import process from 'node:process';
import { collectCheaply } from './collections.ts';
import { main } from './program.ts';

collectCheaply();
process.exitCode = await main(process.argv.slice(2));
