import type { Clock } from '../base/clock.ts';
import type { dgramSockets, FdOwner } from './dgram-sockets.ts';
import type { RelayHandlers } from './relay.ts';
import type { RelaySockets } from './relay-sockets.ts';

/** What a script relay is made with. */
export interface ScriptRelayOptions {
  readonly clock: Clock;
  readonly handlers: RelayHandlers;
  /** Of the fds that become ports, as {@link dgramSockets} has it. */
  readonly owner?: FdOwner | undefined;
  /** Default: this machine's. */
  readonly sockets?: RelaySockets;
}
