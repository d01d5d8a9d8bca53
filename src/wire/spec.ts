/**
 * The numbers of protocol version 1 (docs/protocol.md §1). Numbers of the *specification* only: what an
 * implementation chooses for itself (budgets, intervals) stands where it is used.
 */

/** The protocol version spoken here. */
export const protocolVersion = 1;

/** ALPN name of a link (P1.7). */
export const alpnProtocol = 'entremise/1';

/** Label of the TLS exporter whose 32 bytes bind a PROOF to its session (P6.1). */
export const exporterLabel = 'EXPORTER-entremise-link-v1';

/** Label of the TLS exporter whose 32 bytes the keys of UDP channels come from (P7.3). */
export const channelExporterLabel = 'EXPORTER-entremise-channel-v1';

/** type u8, flags u8, length u16, label u32, stream u32 (P1.1). */
export const headerBytes = 12;

/** The longest body, so that header and body fill one TLS record (P1.1). */
export const maxBodyBytes = 16_372;

/** The offset in front of the bytes of a DATA frame. */
export const dataOffsetBytes = 8;

/** The most stream bytes one DATA frame can carry. */
export const maxDataBytes = maxBodyBytes - dataOffsetBytes;

/** Length of the end-to-end MAC that closes COMMAND, RESULT, EVENT and RESUME (P6.4). */
export const macBytes = 16;

/** The longest message that may span frames with MORE (P1.6). */
export const maxSpanningBytes = 256 * 1024;

/** The longest datagram that can be relayed: the largest UDP payload over IPv4. */
export const maxDatagramBytes = 65_507;

/** A label is never reused on a link; past this, GOAWAY (P1.2). */
export const maxLabel = 2 ** 31;

/** What a peer may send before it is authenticated (P1.6). */
export const maxUnauthenticatedBytes = 16 * 1024;

/** Types of frames (P1.4). Below 0x20: on a label. From 0x20: on label 0. 0x40-0x7f on a label: forwarded unread. */
export const frameType = {
  command: 0x01,
  result: 0x02,
  event: 0x03,
  data: 0x04,
  fin: 0x05,
  reset: 0x06,
  window: 0x07,
  credit: 0x08,
  yield: 0x09,
  datagram: 0x0a,
  resume: 0x0b,
  hello: 0x20,
  challenge: 0x21,
  proof: 0x22,
  welcome: 0x23,
  ping: 0x24,
  pong: 0x25,
  goaway: 0x26,
  report: 0x27,
  statement: 0x28,
  attach: 0x29,
  attached: 0x2a,
  detach: 0x2b,
  unrouted: 0x2c,
  presence: 0x2d,
  service: 0x2e,
  channel: 0x2f,
  portroute: 0x30,
  audithead: 0x31,
} as const;

/** Name of a frame type. */
export type FrameName = keyof typeof frameType;

/** Number of a frame type. */
export type FrameType = (typeof frameType)[FrameName];

const nameOfType = new Map<number, FrameName>(
  (Object.keys(frameType) as FrameName[]).map(name => [frameType[name], name]),
);

/** The name of a frame type, or undefined for one this version does not know. */
export function frameNameOf(type: number): FrameName | undefined {
  return nameOfType.get(type);
}

/** True for the types that may stand on a label other than 0, known or reserved for later (P1.4). */
export function isLabelType(type: number): boolean {
  return (type >= 0x01 && type <= 0x0b) || (type >= 0x40 && type <= 0x7f);
}

/** Capability of HELLO: EVENTs syn and refused are told, and ends of connections that are no streams (P3.7). */
export const wireEvents = 'wire-events';

/** Capability of a mediator that keeps heads of the server's audit (P6.10). */
export const auditHeads = 'audit-heads';

/** Flags of a frame (P1.4). */
export const frameFlag = {
  /** More parts of the same body follow. */
  more: 0x01,
  /** On COMMAND: the server refuses; its reason is the last byte of the body (P5.8). */
  denied: 0x02,
  /** On RESET: an answer to the peer's RESET, never answered itself (P4.5). */
  echo: 0x04,
  /** On DATA: the sender is blocked on `received`; answer WINDOW at once. */
  now: 0x08,
  /** Reserved for end-to-end encryption of data. */
  sealed: 0x10,
} as const;
