import type { Clock } from '../base/clock.ts';
import type { NativeSockets } from '../native/addon.ts';
import { nativeRelay } from './native-relay.ts';
import type { OpenRelay } from './relay.ts';
import { ScriptRelay } from './script-relay.ts';

/** The relay of the addon, where there is one and it has a thread to give; else the one in JavaScript. */
export function bestRelay(clock: Clock, native: NativeSockets | undefined): OpenRelay {
  return handlers => {
    try {
      if (native !== undefined) return nativeRelay(native, handlers);
    } catch {
      // No thread: what follows does the same, slower.
    }
    return new ScriptRelay({ clock, handlers, owner: native });
  };
}
