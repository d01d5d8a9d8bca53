import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../base/clock.ts';
import { memoryFacts } from '../base/memory-facts.ts';
import { MemoryKeeper, serverThrift } from '../base/memory-keeper.ts';
import type { NativeSockets } from '../native/addon.ts';
import { markInStepsOnceLarge } from './collections.ts';

/** V8's collector, which a program that was started without --expose-gc can have so too. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('gc');
  return () => {
    if (typeof found === 'function') found();
  };
}

/**
 * Keeps the memory of a server program small while thousands of links are idle (docs/performance.md). Returns how to end
 * that. Without the addon V8's heap alone is looked after.
 */
export function keepServerMemory(native: NativeSockets | undefined, clock: Clock): () => void {
  native?.mapLargePieces();
  const collect = collector();
  const giveBack = () => {
    collect();
    native?.trimHeap();
  };
  const keeper = new MemoryKeeper(memoryFacts(giveBack), clock, serverThrift);
  keeper.start();
  const endLooking = markInStepsOnceLarge(clock);
  return () => {
    keeper.stop();
    endLooking();
  };
}
