/* compile-native: compiles the native programs now, which otherwise happens when one is first asked for. */
import { compileNative } from './native.ts';

await compileNative();
