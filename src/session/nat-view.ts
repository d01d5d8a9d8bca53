import type { PacketPeer } from '../wire/packet.ts';

/**
 * What the NATs on the way do to UDP, as far as one server that speaks from one address and number can show it. How a NAT
 * maps and filters (RFC 4787 §4.1, §5) shows when one socket speaks with two destinations, which a member of one server
 * does not have: so of a NAT that changes numbers only that much is said, and of filters nothing.
 */

/** One socket of the member, and as what the server sees it. */
export interface Sighting {
  /** The socket's own number; undefined where that is not known. */
  readonly localNumber: number | undefined;
  readonly observed: PacketPeer;
}

/**
 * What is done to the source of what leaves: nothing; another address, while every number is kept, which is the same for
 * all destinations unless two hosts want one number; or other numbers too.
 */
export type Translation = 'none' | 'address' | 'numbers';

/** See the head of this file. */
export interface NatView {
  readonly translation: Translation;
  /** Public addresses that the sockets were seen with: more than one is a pool (RFC 4787 REQ-2). */
  readonly publicAddresses: number;
}

/** What sightings of several sockets say; undefined while there is none. `isOwn`: it is an address of this machine. */
export function natView(
  sightings: readonly Sighting[],
  isOwn: (address: string) => boolean,
): NatView | undefined {
  if (sightings.length === 0) return undefined;
  const publicAddresses = new Set(sightings.map(({ observed }) => observed.address)).size;
  const keeps = ({ localNumber, observed }: Sighting) =>
    localNumber === undefined || localNumber === observed.number;
  if (!sightings.every(keeps)) return { translation: 'numbers', publicAddresses };
  const isBare = sightings.every(({ observed }) => isOwn(observed.address));
  return { translation: isBare ? 'none' : 'address', publicAddresses };
}
