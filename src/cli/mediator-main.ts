import process from 'node:process';
import { collectInOneGo } from './collections.ts';
import { mediatorProgram } from './mediator-program.ts';

// Its young generation is kept small by a flag of the command, with others that only a command can give.
collectInOneGo();
process.exitCode = await mediatorProgram(process.argv.slice(2));
