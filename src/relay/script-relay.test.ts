import { type Clock, systemClock } from '../base/clock.ts';
import { requireAddon } from '../native/addon.ts';
import { relayComplies } from './compliance.ts';
import { ScriptRelay } from './script-relay.ts';

/** The machine's clock, `factor` times as fast: this relay's times are those of the rules. */
function scaledClock(factor: number): Clock {
  return {
    now: () => systemClock.now() * factor,
    wallTimeMs: () => systemClock.wallTimeMs(),
    after: (delayMs, run) => systemClock.after(delayMs / factor, run),
  };
}

relayComplies('JavaScript', {
  open: (handlers, { holdMs, approvalIdleMs }) => {
    const isHastened = holdMs < 1000;
    const factor = isHastened ? 300_000 / approvalIdleMs : 100 / holdMs;
    return new ScriptRelay({ clock: scaledClock(factor), handlers, owner: requireAddon() });
  },
  knowsLocal: false,
  idleMs: 1_500_000,
  hearsUnreachable: false,
  bundles: false,
});
