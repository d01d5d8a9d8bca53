import { decodeCbor } from '../cbor.ts';
import {
  bool,
  bytes,
  constant,
  field,
  ipAddress,
  list,
  type MessageOf,
  message,
  oneOf,
  optional,
  sentence,
  text,
  u8,
  u16,
  u32,
  uint,
  union,
} from '../fields.ts';
import { carrier, refusedBy } from './shared.ts';

/** TCP or UDP. */
export const protocol = oneOf({ tcp: 6, udp: 17 });

/** TCP or UDP. */
export type Protocol = 'tcp' | 'udp';

/** How much the number asked for matters (S7, P5.1). */
export const choice = oneOf({ preferred: 1, mandatory: 2, any: 3 });

/** How much the number asked for matters (S7, P5.1). */
export type Choice = 'preferred' | 'mandatory' | 'any';

const family = oneOf({ ipv4: 4, ipv6: 6 });

const verbNumbers = { open: 1, redirect: 2, connect: 3, listen: 4, close: 5, query: 6 } as const;

/** The commands (S7-S11, P5.6). */
export type Verb = keyof typeof verbNumbers;

const verb = <V extends Verb>(name: V) => field(1, constant(name, verbNumbers[name]));
const id = field(0, u32);

/** A port by its id, or by the seq of an OPEN sent before on the same attachment (P3.4). */
const portReference = { port: optional(2, u32), portOf: optional(3, u32) };

/** Which interface, number and protocol (P5.1). Without address: the wildcard of `family`. */
const openFields = {
  protocol: field(4, protocol),
  address: optional(5, ipAddress),
  /** Interface name of a link-local address. */
  zone: optional(6, text(16)),
  family: optional(7, family),
  number: field(8, u16),
  choice: field(9, choice),
};

const open = message('OPEN', { id, verb: verb('open'), ...openFields });

const redirect = message('REDIRECT', {
  id,
  verb: verb('redirect'),
  ...portReference,
  protocol: optional(4, protocol),
  address: optional(5, ipAddress),
  zone: optional(6, text(16)),
  family: optional(7, family),
  number: optional(8, u16),
  choice: optional(9, choice),
  fallback: optional(10, oneOf({ tcp: 1, none: 2 })),
  /** The redirected port is to be an opened one again. */
  back: optional(13, bool),
  /** On a channel of its own, as far as there is one (P7.1). */
  ownChannel: optional(14, bool),
});

const connect = message('CONNECT', {
  id,
  verb: verb('connect'),
  ...portReference,
  address: optional(5, ipAddress),
  zone: optional(6, text(16)),
  name: optional(7, text(255)),
  number: field(8, u16),
  /** Stream id that the terminal chose, odd (P1.3). */
  stream: field(11, u32),
  /** First `limit` for bytes towards the terminal (P3.4). */
  limit: field(12, uint()),
});

const listen = message('LISTEN', {
  id,
  verb: verb('listen'),
  ...portReference,
  backlog: field(11, u16),
  whileAway: field(12, bool),
  /** First `limit` of every accepted stream for bytes towards the terminal (P3.4). */
  limit: field(13, uint()),
});

const close = message('CLOSE', {
  id,
  verb: verb('close'),
  ...portReference,
  streams: field(11, oneOf({ reset: 1, drain: 2 })),
});

const query = message('QUERY', {
  id,
  verb: verb('query'),
  /**
   * `events`: from now on also tell what happens on the ports of the terminal key's other attachments. `key-ports`: the
   * ports of all its attachments. `devices`: who is in the gateway's LAN.
   */
  what: field(11, oneOf({ ports: 1, limits: 2, resolve: 3, events: 4, 'key-ports': 5, devices: 6 })),
  name: optional(7, text(255)),
  cursor: optional(12, u32),
});

/** COMMAND: what a terminal asks of a mediator (S6, P5). `id` only correlates the answer. */
export const command = union(
  'COMMAND',
  { field: 'verb', key: 1, numbers: verbNumbers },
  { open, redirect, connect, listen, close, query },
);
export type Command = MessageOf<typeof command>;

/**
 * The `id` of a COMMAND body whatever else stands in it, so that one which this version does not know can be answered
 * `unsupported`; undefined when there is none.
 * @throws EntremiseError `bad-request` when the body is no CBOR of the profile
 */
export function commandIdOf(body: Uint8Array): number | undefined {
  const map = decodeCbor(body);
  const value = map instanceof Map ? map.get(0) : undefined;
  return typeof value === 'number' && value <= 0xffff_ffff ? value : undefined;
}

/**
 * The stream that a COMMAND body makes when it is a CONNECT, whatever else stands in it; else undefined.
 * @throws EntremiseError `bad-request` when the body is no CBOR of the profile
 */
export function connectStreamOf(body: Uint8Array): number | undefined {
  const map = decodeCbor(body);
  if (!(map instanceof Map) || map.get(1) !== verbNumbers.connect) return undefined;
  const value = map.get(11);
  return typeof value === 'number' && value <= 0xffff_ffff ? value : undefined;
}

/** The command with that verb. */
export type CommandOf<V extends Verb> = Extract<Command, { readonly verb: V }>;

/** States of a port (P5.7). */
export const portState = oneOf({ opened: 1, client: 2, server: 3, redirected: 4, closed: 5 });

/** States of a port (P5.7). */
export type PortState = 'opened' | 'client' | 'server' | 'redirected' | 'closed';

const portListing = message('port entry', {
  port: field(1, u32),
  protocol: field(2, protocol),
  address: field(3, ipAddress),
  number: field(4, u16),
  state: field(5, portState),
  streams: field(6, u32),
  /** QUERY key-ports: present when the port belongs to another attachment of the same terminal key: its id. */
  attachment: optional(7, bytes(16)),
});
export type PortListing = MessageOf<typeof portListing>;

const limitListing = message('limit entry', {
  name: field(1, text(64)),
  used: field(2, uint()),
  allowed: field(3, uint()),
});

const deviceListing = message('device entry', {
  addresses: field(1, list(ipAddress, 16)),
  hardwareAddress: optional(2, text(64)),
  /** By its own word: hostile text. */
  name: optional(3, text(64)),
  /** The gateway's, towards it. */
  interface: optional(4, text(32)),
  /** When its DHCP lease ends, ms since 1970 on the mediator. */
  leaseUntilMs: optional(5, uint()),
  /** What the gateway's neighbour table says: it has answered lately, or some time ago. */
  seen: optional(6, oneOf({ reachable: 1, stale: 2 })),
});
/** A device of the gateway's LAN (P5.6). */
export type DeviceListing = MessageOf<typeof deviceListing>;

/** RESULT: the answer to a COMMAND (P5). `code` 0 is success, else a number of the error catalogue. */
export const result = message('RESULT', {
  id: field(0, u32),
  code: field(1, u8),
  message: optional(2, sentence(512)),
  by: optional(3, refusedBy),
  /** OPEN, REDIRECT: the id of the port. */
  port: optional(4, u32),
  /** OPEN: the port's address. CONNECT: the target's address that was used. */
  address: optional(5, ipAddress),
  number: optional(6, u16),
  /** CONNECT: first `limit` for bytes towards the target (P3.4). */
  limit: optional(7, uint()),
  /** REDIRECT: the channel in force. */
  channel: optional(8, carrier),
  ports: optional(9, list(portListing, 128)),
  limits: optional(10, list(limitListing, 64)),
  addresses: optional(11, list(ipAddress, 64)),
  /** QUERY: there is more, ask again with this. */
  cursor: optional(12, u32),
  devices: optional(13, list(deviceListing, 32)),
});
export type Result = MessageOf<typeof result>;
