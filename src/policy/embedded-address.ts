import { type Network, networkContains, parseNetwork } from './network.ts';
import { addressFromBytes, type CanonicalAddress } from './target.ts';

/**
 * IPv6 addresses that carry an IPv4 address inside: a tunnel or translator on the way may take the packet there, so the
 * inner address is checked as well (P6.8). IPv4-mapped addresses are not here: they *are* the IPv4 address (target.ts).
 */
interface Embedding {
  readonly network: Network;
  /** Positions of the four IPv4 bytes; several where the scheme leaves the choice open. */
  readonly positions: readonly (readonly [number, number, number, number])[];
  /** The bits are stored inverted (Teredo's client address). */
  readonly inverted?: true;
}

const lastFour = [12, 13, 14, 15] as const;

const embeddings: readonly Embedding[] = [
  // IPv4-compatible (RFC 4291 §2.5.5.1, deprecated).
  { network: parseNetwork('::/96'), positions: [lastFour] },
  // IPv4-translated (RFC 2765 §2.1).
  { network: parseNetwork('::ffff:0:0:0/96'), positions: [lastFour] },
  // NAT64, well-known prefix (RFC 6052 §2.1).
  { network: parseNetwork('64:ff9b::/96'), positions: [lastFour] },
  // NAT64, local prefix (RFC 8215): /48, /56, /64 and /96 of RFC 6052 §2.2 all fit, and nobody says which is used.
  {
    network: parseNetwork('64:ff9b:1::/48'),
    positions: [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], lastFour],
  },
  // 6to4 (RFC 3056 §2).
  { network: parseNetwork('2002::/16'), positions: [[2, 3, 4, 5]] },
  // Teredo (RFC 4380 §4): the server, and the client inverted.
  { network: parseNetwork('2001::/32'), positions: [[4, 5, 6, 7]] },
  { network: parseNetwork('2001::/32'), positions: [lastFour], inverted: true },
];

/** ISATAP (RFC 5214 §6.1): any prefix, then 0000:5efe or 0200:5efe, then the IPv4 address. */
function isIsatap(bytes: Uint8Array): boolean {
  return ((bytes[8] ?? 0) & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
}

function pick(bytes: Uint8Array, positions: readonly number[], inverted: boolean): CanonicalAddress {
  return addressFromBytes(
    Uint8Array.from(positions, position => (bytes[position] ?? 0) ^ (inverted ? 0xff : 0)),
  );
}

const notEmbedding = new Set(['::', '::1']);

/** Every IPv4 address that the address carries inside; none for IPv4 addresses and for most IPv6 ones. */
export function embeddedAddresses(address: CanonicalAddress): CanonicalAddress[] {
  if (address.family === 4 || notEmbedding.has(address.text)) return [];
  const found = embeddings
    .filter(embedding => networkContains(embedding.network, address))
    .flatMap(({ positions, inverted }) =>
      positions.map(four => pick(address.bytes, four, inverted === true)),
    );
  return isIsatap(address.bytes) ? [...found, pick(address.bytes, lastFour, false)] : found;
}

/** The address and all that it carries inside: every one of them must pass every check. */
export function facesOf(address: CanonicalAddress): readonly CanonicalAddress[] {
  return [address, ...embeddedAddresses(address)];
}
