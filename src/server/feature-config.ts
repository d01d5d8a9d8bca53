import * as v from 'valibot';
import { EntremiseError } from '../base/errors.ts';
import { type Network, parseNetwork } from '../policy/network.ts';
import { closedObject, listOf, memberName, parsedText, wholeNumber } from '../policy/schema.ts';
import { parseServerAddress } from '../policy/server-address.ts';
import { parseAddress, quoted } from '../policy/target.ts';
import type { PacketPeer } from '../wire/packet.ts';

/** The tables of server.toml that are features of the server: `[[publish]]` and `[[service]]` (P7.6). */

/** A NAT forgets no mapping before that (RFC 4787 REQ-5), and neither do we. */
const leastIdleS = 120;
const longestIdleS = 86_400;

/** How many peers of one port, and how many of them new, when nothing is said. The grant's `limits.ports` bound it too. */
const defaultPeers = 256;
const defaultNewPeersPerSecond = 32;

/** @throws EntremiseError `bad-request` */
function parsePeerText(text: string): PacketPeer {
  const { host, number } = parseServerAddress(text);
  if (parseAddress(host) !== undefined) return { address: host, number };
  throw new EntremiseError('bad-request', {
    message: `${quoted(host)} is no address; names are not looked up`,
  });
}

/** An address of the mediator, or its LAN's. @throws EntremiseError `bad-request` */
function parseMediatorPort(text: string): { readonly address: string; readonly number: number } {
  const { host, number } = parseServerAddress(text);
  return host === 'lan' ? { address: 'lan', number } : parsePeerText(text);
}

const bounds = {
  peers: v.optional(wholeNumber(1, 65_535), defaultPeers),
  newPeersPerSecond: v.optional(wholeNumber(1, 10_000), defaultNewPeersPerSecond),
  idleS: v.optional(wholeNumber(leastIdleS, longestIdleS), leastIdleS),
};

/** Schema of `[[publish]]`. */
export const publishSchema = closedObject({
  mediator: memberName,
  on: parsedText(parsePeerText),
  to: parsedText(parsePeerText),
  from: listOf(parsedText(parseNetwork), 1, 64),
  ...bounds,
});

/** Schema of `[[service]]`. */
export const serviceSchema = closedObject({
  mediator: memberName,
  at: parsedText(parseMediatorPort),
  to: parsedText(parsePeerText),
  ...bounds,
});

interface Bounds {
  readonly peers: number;
  readonly newPeersPerSecond: number;
  readonly idleS: number;
}

/** A UDP port of this server whose clients come out in a mediator's LAN. */
export interface PublishRule extends Bounds {
  readonly mediator: string;
  readonly on: PacketPeer;
  readonly to: PacketPeer;
  readonly from: readonly Network[];
}

/** A UDP port of a mediator whose devices come out at a plain server. */
export interface ServiceRule extends Bounds {
  readonly mediator: string;
  readonly at: { readonly address: string; readonly number: number };
  readonly to: PacketPeer;
}
