import { EntremiseError } from '../base/errors.ts';
import { addressFromBytes, type CanonicalAddress, parseAddress, quoted } from './target.ts';

/** All addresses that share their first `prefixLength` bits with `base`. One address is a network of full length. */
export interface Network {
  readonly base: CanonicalAddress;
  readonly prefixLength: number;
}

/** True when the first `bits` bits are the same. */
function sharePrefix(left: Uint8Array, right: Uint8Array, bits: number): boolean {
  for (let index = 0; index * 8 < bits; index++) {
    const unused = Math.max(0, 8 - (bits - index * 8));
    if ((left[index] ?? 0) >> unused !== (right[index] ?? 0) >> unused) return false;
  }
  return true;
}

/** The bits of byte `index` that lie behind the first `bits` of all. */
function bitsBehind(bits: number, index: number): number {
  return 0xff >> Math.min(8, Math.max(0, bits - index * 8));
}

/** The network that an address with that prefix length lies in. */
export function networkOf(address: CanonicalAddress, prefixLength: number): Network {
  const full = prefixLength === address.bytes.length * 8;
  if (full) return { base: address, prefixLength };
  const first = address.bytes.map((byte, index) => byte & ~bitsBehind(prefixLength, index));
  return { base: addressFromBytes(first), prefixLength };
}

/** True for the last address of an IPv4 network, its directed broadcast (RFC 919). */
export function isLastOf(network: Network, address: CanonicalAddress): boolean {
  if (network.base.family !== address.family) return false;
  return network.base.bytes.every(
    (byte, index) => (byte | bitsBehind(network.prefixLength, index)) === address.bytes[index],
  );
}

/** True when the address lies in the network. A zone that the network names must be the address's. */
export function networkContains(network: Network, address: CanonicalAddress): boolean {
  if (network.base.family !== address.family) return false;
  if (network.base.zone !== undefined && network.base.zone !== address.zone) return false;
  return sharePrefix(network.base.bytes, address.bytes, network.prefixLength);
}

/** True when the network is this one address. */
export function isSingleAddress(network: Network): boolean {
  return network.prefixLength === network.base.bytes.length * 8;
}

/** `192.168.1.0/24`; an address alone when the network is one. */
export function networkText(network: Network): string {
  return isSingleAddress(network) ? network.base.text : `${network.base.text}/${network.prefixLength}`;
}

/**
 * Reads `192.168.1.0/24`, `fd00::/8` or a single address.
 * @throws EntremiseError `bad-request` when it is none, or has bits set behind its prefix
 */
export function parseNetwork(text: string): Network {
  const [host = '', length, ...more] = text.split('/');
  const address = parseAddress(host);
  const bits = address === undefined ? 0 : address.bytes.length * 8;
  const lengthIsGood = length === undefined || (/^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= bits);
  if (address === undefined || more.length > 0 || !lengthIsGood) {
    throw new EntremiseError('bad-request', {
      message: `${quoted(text)} is not a network; write it like 192.168.1.0/24, fd00::/8 or 192.168.1.10.`,
    });
  }
  const network = networkOf(address, length === undefined ? bits : Number(length));
  if (network.base.text === address.text) return network;
  throw new EntremiseError('bad-request', {
    message: `${quoted(text)} has bits set behind its prefix; write ${networkText(network)} or ${address.text}.`,
  });
}
