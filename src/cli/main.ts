import process from 'node:process';
import { main } from './program.ts';
import { keepYoungGenerationSmall } from './young-generation.ts';

keepYoungGenerationSmall();
process.exitCode = await main(process.argv.slice(2));
