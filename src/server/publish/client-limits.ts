import type { PacketPeer } from '../../wire/packet.ts';

/** What the clients of a published port are held to, whatever carries their bytes (P7.6). */

/** What bounds the clients of one port. */
export interface ClientLimits {
  /** At once. */
  readonly clients: number;
  readonly newClientsPerSecond: number;
}

/** How the clients of a port fare: `clients` now, the rest since the beginning. */
export interface PublishedCounts {
  readonly clients: number;
  readonly served: number;
  /** Silent for too long: UDP alone. */
  readonly expired: number;
  /** Turned away: too many, or too many new ones. */
  readonly full: number;
  /** The mediator was away, or it or the device refused, or the audit. */
  readonly failed: number;
  /** From outside the networks: TCP alone, since UDP from there is not heard at all. */
  readonly foreign: number;
}

/** Leaves a line about a new client. @throws when it cannot be written: then the client is refused */
export type AuditClient = (client: PacketPeer) => void;
