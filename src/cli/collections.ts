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
 * The second is reached first, over and over: up to twenty full collections a second, a third of the processor. Marking in
 * steps is for heaps whose full collection nobody could wait for; one of 10 MiB takes as many milliseconds.
 *
 * Programs that relay set this; the SDK leaves the heap of its application alone.
 */

/** Heaps of more than that are marked in steps after all. */
const largeHeapBytes = 64 * 1024 * 1024;

const lookEveryMs = 5_000;

/** See the head of this file. */
export function collectCheaply(): void {
  // At the 16 MiB that the young generation grows to 100 MB would stand outside before it is full: it stays at its first 1 MiB.
  setFlagsFromString('--semi-space-growth-factor=1');
  // A full collection waits until the heap itself is full, and then is one pause.
  setFlagsFromString('--no-incremental-marking');
  // And a cheap one, of 1 MiB, is over before other threads are awake to help.
  setFlagsFromString('--no-parallel-scavenge');
}

/**
 * Has V8 mark in steps again, for good, as soon as the heap is large: the server of thousands of links. Returns how to end
 * looking for that.
 */
export function markInStepsOnceLarge(
  clock: Clock,
  heapBytes = () => getHeapStatistics().used_heap_size,
  setFlag = setFlagsFromString,
): () => void {
  let cancel = () => {};
  const look = () => {
    if (heapBytes() > largeHeapBytes) setFlag('--incremental-marking');
    else cancel = clock.after(lookEveryMs, look);
  };
  look();
  return () => cancel();
}
