import { requireAddon } from '../native/addon.ts';
import { relayComplies } from './compliance.ts';
import { nativeRelay } from './native-relay.ts';

relayComplies('the addon’s thread', {
  open: (handlers, times) => nativeRelay(requireAddon(), handlers, times),
  knowsLocal: true,
  idleMs: 1_000,
  hearsUnreachable: true,
  bundles: true,
});
