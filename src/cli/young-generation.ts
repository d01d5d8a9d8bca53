import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's young generation at the 1 MiB it starts with (docs/performance.md).
 *
 * Every TLS record that comes is a buffer outside V8's heap, freed only when a collection finds its small handle dead.
 * With the 16 MiB that the young generation grows to, 100 MB of such buffers pile up between two cheap collections, and
 * V8 then runs full ones, several a second under load, which takes a third of the throughput. Programs that relay set this; the SDK
 * leaves the heap of its application alone.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
