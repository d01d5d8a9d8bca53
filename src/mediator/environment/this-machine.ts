import type { Clock } from '../../base/clock.ts';
import type { NativeSockets } from '../../native/addon.ts';
import { readEnvironment, readWayOut } from './environment.ts';
import { readIfThere, readMachine } from './machine.ts';
import { EnvironmentWatcher } from './watcher.ts';

type Watching = Pick<NativeSockets, 'watchNetwork' | 'closeWatch'>;

/**
 * Calls when the kernel says that interfaces, addresses or routes have changed, until the answer is called. Undefined
 * without the addon, or where the kernel refuses.
 */
function watchNetwork(native: Watching | undefined, onNews: () => void): (() => void) | undefined {
  const watch = native?.watchNetwork(onNews);
  if (native === undefined || watch === undefined || typeof watch === 'string') return undefined;
  let isOpen = true;
  return () => {
    // Once: its number is another watch's as soon as it is closed.
    if (isOpen) native.closeWatch(watch);
    isOpen = false;
  };
}

/** A watcher of the machine that this runs on; it looks once, and again when it is started. `networkFile`: netifd's word. */
export function watcherOfMachine(
  native: Watching | undefined,
  clock: Clock,
  networkFile: string | undefined,
  onChange: () => void,
): EnvironmentWatcher {
  const machine = readMachine(readIfThere);
  const sources = {
    read: () => readEnvironment(readIfThere, machine, networkFile),
    wayOut: () => readWayOut(readIfThere),
    watchNetwork: (onNews: () => void) => watchNetwork(native, onNews),
  };
  return new EnvironmentWatcher(sources, clock, onChange);
}
