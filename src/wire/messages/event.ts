import {
  bytes,
  constant,
  field,
  ipAddress,
  type MessageOf,
  message,
  oneOf,
  optional,
  u16,
  u32,
  uint,
  union,
} from '../fields.ts';
import { carrier } from './shared.ts';

const kindNumbers = {
  connected: 1,
  fin: 2,
  rst: 3,
  syn: 4,
  refused: 5,
  lost: 6,
  limit: 7,
  channel: 8,
  unreachable: 9,
} as const;

/** The kinds of event (S15, S16). */
export type EventKind = keyof typeof kindNumbers;

const kind = <K extends EventKind>(name: K) => field(1, constant(name, kindNumbers[name]));

const common = {
  port: field(2, u32),
  /** When it happened, milliseconds since 1970 on the mediator. */
  timeMs: field(3, uint()),
  /** Present when the port belongs to another attachment of the same terminal key, which QUERY events watches: its id. */
  attachment: optional(14, bytes(16)),
};

const peer = { peerAddress: field(5, ipAddress), peerNumber: field(6, u16) };

/** Where a connection ended. One that never became a stream, seen on the wire only, has a peer and no stream. */
const endOf = {
  peerAddress: optional(5, ipAddress),
  peerNumber: optional(6, u16),
  stream: optional(7, u32),
  offset: optional(10, uint()),
};

/** Who did it: the LAN system, or this side on the terminal's behalf. */
const direction = field(4, oneOf({ 'from-device': 1, 'to-device': 2 }));

/** EVENT: something happened on a port (S15, S16, P3.7). */
export const event = union(
  'EVENT',
  { field: 'kind', key: 1, numbers: kindNumbers },
  {
    /** A LAN system connected to a listening port (S15). Creates `stream`; always before its DATA. */
    connected: message('EVENT connected', {
      kind: kind('connected'),
      ...common,
      direction,
      ...peer,
      stream: field(7, u32),
      localAddress: field(8, ipAddress),
      /** First `limit` for bytes towards the LAN system (P3.4). */
      limit: field(9, uint()),
    }),
    /** A request to close (S16). `offset`: stream bytes before it. */
    fin: message('EVENT fin', {
      kind: kind('fin'),
      ...common,
      direction,
      ...endOf,
    }),
    /** A destruction (S16). `offset`: stream bytes before it, as far as known. */
    rst: message('EVENT rst', {
      kind: kind('rst'),
      ...common,
      direction,
      ...endOf,
    }),
    /** An attempt: a SYN was seen. */
    syn: message('EVENT syn', { kind: kind('syn'), ...common, ...peer }),
    /** A SYN to a port that is open but does not listen. */
    refused: message('EVENT refused', { kind: kind('refused'), ...common, ...peer }),
    /** `count` events were not told one by one (P3.7). */
    lost: message('EVENT lost', { kind: kind('lost'), ...common, count: field(11, uint()) }),
    /** Datagrams to new destinations are dropped because they come too fast (P5.9). */
    limit: message('EVENT limit', { kind: kind('limit'), ...common, count: field(11, uint()) }),
    /** The channel that carries a redirected port has changed. */
    channel: message('EVENT channel', {
      kind: kind('channel'),
      ...common,
      channel: field(12, carrier),
    }),
    /** ICMP said that the destination of a datagram cannot be reached (P5.9). */
    unreachable: message('EVENT unreachable', {
      kind: kind('unreachable'),
      ...common,
      ...peer,
      code: optional(13, u32),
    }),
  },
);
export type PortEvent = MessageOf<typeof event>;

/** The event of that kind. */
export type EventOf<K extends EventKind> = Extract<PortEvent, { readonly kind: K }>;
