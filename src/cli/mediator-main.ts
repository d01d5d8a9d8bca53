import process from 'node:process';
import { collectCheaply } from './collections.ts';
import { mediatorProgram } from './mediator-program.ts';

collectCheaply();
process.exitCode = await mediatorProgram(process.argv.slice(2));
