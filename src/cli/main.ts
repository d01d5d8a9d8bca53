import process from 'node:process';
import { collectInOneGo, keepYoungGenerationSmall } from './collections.ts';
import { main } from './program.ts';

keepYoungGenerationSmall();
collectInOneGo();
process.exitCode = await main(process.argv.slice(2));
