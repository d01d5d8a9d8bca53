import * as v from 'valibot';
import { EntremiseError } from '../../base/errors.ts';
import { firstIssue, oneOf, parsedText, wholeNumber } from '../../policy/schema.ts';
import { parseServerAddress, type ServerAddress } from '../../policy/server-address.ts';
import { parseAddress, quoted } from '../../policy/target.ts';
import type { PacketPeer } from '../../wire/packet.ts';

/** The valibot parts that published ports and standing services have in common (P7.6). */

/** A NAT forgets no mapping before that (RFC 4787 REQ-5), and neither do we. */
export const leastIdleS = 120;
const longestIdleS = 86_400;

/** How many peers of one port, and how many of them new, when nothing is said. The grant's limits bound them too. */
const defaultPeers = 256;
const defaultNewPeersPerSecond = 32;

/** @throws EntremiseError `bad-request` */
function parsePeer(text: string): PacketPeer {
  const { host, number } = parseServerAddress(text);
  if (parseAddress(host) !== undefined) return { address: host, number };
  throw new EntremiseError('bad-request', {
    message: `${quoted(host)} is no address; names are not looked up`,
  });
}

/** An address of the mediator, or its LAN's. @throws EntremiseError `bad-request` */
function parseMediatorPort(text: string): PacketPeer {
  const { host, number } = parseServerAddress(text);
  return host === 'lan' ? { address: 'lan', number } : parsePeer(text);
}

/** An address and a number. */
export const peer = parsedText(parsePeer);

/** A name or an address, and a number. */
export const endpoint = parsedText(parseServerAddress);

/** An address of a mediator or `lan`, and a number. */
export const mediatorPort = parsedText(parseMediatorPort);

/** What is carried; `udp` where nothing is said. */
export const protocol = v.optional(oneOf(['tcp', 'udp']), 'udp');

/** What bounds the peers of one port. */
export const bounds = {
  peers: v.optional(wholeNumber(1, 65_535), defaultPeers),
  newPeersPerSecond: v.optional(wholeNumber(1, 10_000), defaultNewPeersPerSecond),
  idleS: v.optional(wholeNumber(leastIdleS, longestIdleS)),
};

/** {@link bounds} as they are read. */
export interface Bounds {
  /** At once. */
  readonly peers: number;
  readonly newPeersPerSecond: number;
  /** After how many seconds without a datagram a UDP peer is forgotten; TCP has its own ends. */
  readonly idleS: number | undefined;
}

/** Where the other end of a declared port is, by what its protocol can reach. */
interface Reaching {
  readonly protocol: 'tcp' | 'udp';
  readonly to: ServerAddress;
  readonly idleS?: number | undefined;
}

/** Datagrams go to an address: a name would have to be looked up for each. */
export function isReachable({ protocol: carried, to }: Reaching): boolean {
  return carried === 'tcp' || parseAddress(to.host) !== undefined;
}

/** Says what {@link isReachable} asks for. */
export const reachableMessage = 'must have an address in "to", for UDP names are not looked up';

/** TCP connections end by themselves. */
export function hasFittingIdle({ protocol: carried, idleS }: Reaching): boolean {
  return carried === 'udp' || idleS === undefined;
}

/** Says what {@link hasFittingIdle} asks for. */
export const idleMessage = 'must have "idleS" for UDP alone';

/**
 * What a schema makes of a value that came from outside, with one sentence where it makes nothing of it.
 * @throws EntremiseError `bad-request`
 */
export function readDeclared<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw new EntremiseError('bad-request', { message: `The ${what} is wrong: ${firstIssue(parsed.issues)}.` });
}
