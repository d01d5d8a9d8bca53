import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Names the directory of a demo that was left up, so that --teardown finds it. */
export const pointer = join(tmpdir(), 'entremise-demo.stay');

/** The directory of the demo that was left up, if one was. */
export function readPointer(): string | undefined {
  try {
    return readFileSync(pointer, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Nothing is left up any more. */
export function removePointer(): void {
  rmSync(pointer, { force: true });
}
