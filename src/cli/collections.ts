import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import type { Clock } from '../base/clock.ts';

/**
 * Has V8 collect what relaying leaves behind by cheap collections of the young generation alone (docs/performance.md).
 *
 * Every TLS record that comes is a buffer outside V8's heap, freed only when a collection finds its small handle dead. What
 * stands outside counts for two limits:
 *
 *   32 MiB of the young generation's   a cheap collection, a third of a millisecond, which frees nearly all of it
 *   8 MiB and more, by the heap's size   marking in steps begins, and ends in a full collection
 *
 * The second is reached first, over and over: ten to twenty full collections a second, a third of the processor. Marking in
 * steps is for heaps whose full collection nobody could wait for; one of 10 MiB takes as many milliseconds.
 *
 * Programs that relay set this; the SDK leaves the heap of its application alone.
 */

/** Heaps of more than that are marked in steps after all. */
const largeHeapBytes = 64 * 1024 * 1024;

const lookEveryMs = 5_000;

/** What V8's young generation grows to, 16 MiB, would let 100 MB stand outside before it is full: it stays at its first 1 MiB. */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Nothing is marked in steps from now on: a full collection waits until the heap itself is full, and then is one pause. */
export function collectInOneGo(): void {
  setFlagsFromString('--no-incremental-marking');
}

/**
 * Undoes {@link collectInOneGo} for good as soon as the heap is large: the server of thousands of links. Returns how to end
 * looking for that.
 */
export function collectInStepsOnceLarge(
  clock: Clock,
  heapBytes = () => getHeapStatistics().used_heap_size,
  setFlag = setFlagsFromString,
): () => void {
  if (heapBytes() > largeHeapBytes) {
    setFlag('--incremental-marking');
    return () => {};
  }
  let end = () => {};
  const cancel = clock.after(lookEveryMs, () => {
    end = collectInStepsOnceLarge(clock, heapBytes, setFlag);
  });
  return () => {
    cancel();
    end();
  };
}
