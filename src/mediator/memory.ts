import type { Clock } from '../base/clock.ts';
import { memoryFacts } from '../base/memory-facts.ts';
import { MemoryKeeper } from '../base/memory-keeper.ts';
import type { NativeSockets } from '../native/addon.ts';

/**
 * Gives the memory of a load back. V8 is asked only where it was started with --expose-gc, as the shipped mediator is
 * (docs/configuration.md). Returns how to end that.
 */
export function keepGatewayMemory(native: NativeSockets | undefined, clock: Clock): () => void {
  const collect = () => {
    globalThis.gc?.();
    native?.trimHeap();
    native?.unmapProgram();
  };
  const keeper = new MemoryKeeper(memoryFacts(collect), clock);
  keeper.start();
  return () => keeper.stop();
}
