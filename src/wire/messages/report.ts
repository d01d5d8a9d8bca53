import {
  bool,
  bytes,
  field,
  ipAddress,
  list,
  type MessageOf,
  message,
  oneOf,
  optional,
  text,
  u8,
  u32,
  uint,
} from '../fields.ts';

/** One parameter of a service: text to text (S5). */
export const parameter = message('parameter', { name: field(1, text(64)), value: field(2, text(1024)) });

/** A service that a mediator wants to use (S5). */
export const wantedService = message('wanted service', {
  name: field(1, text(64)),
  parameters: field(2, list(parameter, 32)),
});
export type WantedService = MessageOf<typeof wantedService>;

const interfaceAddress = message('interface address', {
  address: field(1, ipAddress),
  prefixLength: field(2, uint(128)),
});

/** A network interface of the gateway. */
export const networkInterface = message('interface', {
  name: field(1, text(32)),
  hardwareAddress: optional(2, text(64)),
  up: field(3, bool),
  addresses: field(4, list(interfaceAddress, 64)),
  /** The owner counts it to the LAN. */
  lan: optional(5, bool),
  /** A default route goes out by it. */
  wan: optional(6, bool),
  /** What the gateway's own configuration calls the networks on it: `lan`, `wan6`. */
  networks: optional(7, list(text(32), 16)),
});
export type NetworkInterface = MessageOf<typeof networkInterface>;

/** A route of the gateway. */
export const route = message('route', {
  destination: field(1, ipAddress),
  prefixLength: field(2, uint(128)),
  gateway: optional(3, ipAddress),
  interface: field(4, text(32)),
});
export type Route = MessageOf<typeof route>;

/** An IPv6 network that the gateway may give to its LANs (RFC 8415), and the network of the gateway's that it came by. */
export const delegatedPrefix = message('prefix', {
  address: field(1, ipAddress),
  prefixLength: field(2, uint(128)),
  network: optional(3, text(32)),
});
export type DelegatedPrefix = MessageOf<typeof delegatedPrefix>;

/**
 * What is known of the way from the mediator to its server, and how (P8.3). Silences in ms.
 */
export const pathReport = message('path', {
  /** Whether UDP passes; `off`: no channel is offered. */
  udp: field(1, oneOf({ off: 1, trying: 2, up: 3, blocked: 4, proxied: 5 })),
  /** Where `udpKeepaliveMs` comes from. */
  origin: field(2, oneOf({ default: 1, learning: 2, learned: 3, halved: 4, unclear: 5 })),
  udpKeepaliveMs: field(3, u32),
  /** The longest silence that held, and the shortest that did not. */
  heldMs: optional(4, u32),
  expiredMs: optional(5, u32),
  /** ms since 1970 on the mediator. */
  learnedAtMs: optional(6, uint()),
  tcpKeepaliveMs: field(7, u32),
  /** Where the link goes, `address:number`, and since when. */
  server: optional(8, text(64)),
  linkSinceMs: optional(9, uint()),
  /** Why the link before was lost, and when. */
  lostReason: optional(10, u8),
  lostAtMs: optional(11, uint()),
  /** The longest packet of a UDP channel that is known to reach the server (P7.5). */
  packetBytes: optional(12, uint(0xffff)),
  /** What NATs do to the source of UDP, and as how many public addresses several sockets are seen. */
  translation: optional(13, oneOf({ none: 1, address: 2, numbers: 3 })),
  publicAddresses: optional(14, u8),
});
export type PathReport = MessageOf<typeof pathReport>;

/** Where events of ports come from: the wire, or, for a reason, sockets alone (P3.7). */
export const eventsReport = message('events', {
  from: field(1, oneOf({ wire: 1, socket: 2 })),
  why: optional(2, text(255)),
});
export type EventsReport = MessageOf<typeof eventsReport>;

/** REPORT: the mediator's environment and the services it wants (S5, P1.6). Everything in it is hostile text. */
export const report = message('REPORT', {
  hostname: field(1, text(255)),
  model: optional(2, text(255)),
  release: optional(3, text(255)),
  interfaces: field(4, list(networkInterface, 128)),
  routes: field(5, list(route, 512)),
  /** Random, one boot of the machine. */
  bootId: field(6, bytes(16)),
  uptimeS: field(7, uint()),
  services: field(8, list(wantedService, 32)),
  software: field(9, text(64)),
  path: optional(10, pathReport),
  events: optional(11, eventsReport),
  /** Of the hardware, as its software names it. */
  board: optional(12, text(64)),
  prefixes: optional(13, list(delegatedPrefix, 32)),
});
export type Report = MessageOf<typeof report>;

/** What the server tells of one mediator (P1.8). */
export const presenceEntry = message('presence entry', {
  key: field(1, bytes(32)),
  /** The member statement; absent with `gone`. */
  statement: optional(2, text(16_384)),
  online: field(3, bool),
  /** When it came or went, milliseconds since 1970 on the server. */
  sinceMs: field(4, uint()),
  report: optional(5, report),
  /** The address and number its link comes from. */
  observed: optional(6, text(64)),
  /** Smoothed round trip of its link. */
  roundTripMs: optional(7, u32),
  /** The grants no longer name it. */
  gone: optional(8, bool),
});
export type PresenceEntry = MessageOf<typeof presenceEntry>;

/** PRESENCE: `subscribe` from the terminal; entries from the server, first all, then changes (P1.8). */
export const presence = message('PRESENCE', {
  subscribe: optional(1, bool),
  entries: optional(2, list(presenceEntry, 4096)),
  /** The first answer is complete with this page. */
  complete: optional(3, bool),
});
export type Presence = MessageOf<typeof presence>;

/** SERVICE: a mediator wants a service that this terminal provides (S5). */
export const service = message('SERVICE', {
  name: field(1, text(64)),
  mediator: field(2, bytes(32)),
  parameters: field(3, list(parameter, 32)),
  available: field(4, bool),
});
export type Service = MessageOf<typeof service>;
