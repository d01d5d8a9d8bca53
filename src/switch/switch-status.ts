import type { ChannelCounters } from './channel-desk.ts';

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
  /** UDP channels and their packets; absent where there are none. */
  readonly channels?: ChannelCounters;
}
