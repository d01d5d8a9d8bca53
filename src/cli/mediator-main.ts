import process from 'node:process';
import { mediatorProgram } from './mediator-program.ts';

process.exitCode = await mediatorProgram(process.argv.slice(2));
