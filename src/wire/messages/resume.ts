import { bool, bytes, field, list, type MessageOf, message, optional, u8, u32, uint } from '../fields.ts';

const liveStream = message('live stream', {
  id: field(1, u32),
  /** Contiguous bytes received. */
  received: field(2, uint()),
  /** May be sent up to. */
  limit: field(3, uint()),
  /** Its own FIN has been sent. */
  finSent: field(4, bool),
  /** YIELDs seen. */
  yields: field(5, u32),
});

const pendingReset = message('pending reset', { id: field(1, u32), reason: field(2, u8) });

/** What one end has of a stream that is live. */
export type LiveStream = MessageOf<typeof liveStream>;

/** RESUME: what its sender has of the attachment, before anything else on a label (P4.4). */
export const resume = message('RESUME', {
  /** First RESUME of the terminal only: its signature over T (P6.4). */
  signature: optional(1, bytes(64)),
  streams: field(2, list(liveStream, 4096)),
  /** Highest seq of stream 0 received without a gap. */
  control: field(3, u32),
  /** Highest stream id seen from the peer. */
  mark: field(4, u32),
  resets: field(5, list(pendingReset, 4096)),
  /** Stream 0: the peer may send up to this seq. */
  controlLimit: field(6, u32),
});
export type Resume = MessageOf<typeof resume>;
