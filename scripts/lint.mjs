// Formatting and lint of everything, and the types.
import { build } from './build.mjs';
import { root, run, setUp } from './setup.mjs';

setUp(['build']);
run(`${root}node_modules/.bin/biome`, ['ci', '.']);
build();
