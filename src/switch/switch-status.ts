import type { ChannelCounters } from './channel-desk.ts';
import type { RouteTable } from './route-table.ts';
import type { SwitchFigures } from './switch-figures.ts';

/** Numbers for the log and for operations. */
export interface SwitchStatus {
  /** Members that are connected. */
  readonly members: number;
  readonly attachments: number;
  /** Bytes that wait in queues. */
  readonly queuedBytes: number;
  /** Bytes of hop credit that labels have beyond their first (P2.3). */
  readonly grownCreditBytes: number;
  /** Datagrams that were dropped here because too many waited (P2.3). */
  readonly droppedDatagrams: number;
  /** What was passed on and refused. */
  readonly figures: SwitchFigures;
  /** Smoothed round trips of the links whose is known. */
  readonly roundTripsMs: readonly number[];
  /** UDP channels and their packets; absent where there are none. */
  readonly channels?: ChannelCounters;
}

/** See {@link SwitchStatus}. */
export function statusOf(
  routes: RouteTable,
  links: readonly { readonly roundTripMs: number | undefined }[],
  counters: ChannelCounters | undefined,
): SwitchStatus {
  const { size: attachments, figures, queuedBytes, grownCreditBytes, droppedDatagrams } = routes;
  const roundTripsMs = links.flatMap(({ roundTripMs }) => roundTripMs ?? []);
  const channels = counters && { channels: counters };
  const held = { queuedBytes, grownCreditBytes, droppedDatagrams };
  return { members: links.length, attachments, ...held, figures, roundTripsMs, ...channels };
}
