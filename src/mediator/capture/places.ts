import type { GatewayFacts } from '../../policy/gateway-facts.ts';
import { isOwnLanAddress } from '../../policy/gateway-facts.ts';
import { canonicalAddress } from '../../policy/target.ts';
import type { NetworkInterface } from '../../wire/messages/report.ts';
import type { BoundTo } from '../ports/open.ts';

/**
 * Where a port's packets pass: the interfaces that its address lives on. A wildcard port lives on all interfaces of the
 * LAN and no others: what comes from outside to it is not watched, unless another port has an address there. Packets of
 * an address are seen on any interface that is captured, so what comes in by another LAN than the address's is seen too.
 *
 * An address lives on the interface that the kernel gives its packets to: on a bridge, not on its ports; on a VLAN's own
 * interface, not on the one below. So each packet is seen once.
 */

/** Link-local addresses say nothing about where an interface leads. */
const saysNothing = /^(fe[89ab]|169\.254\.)/;

/** True for an interface of the owner's LAN. */
export function isLanInterface(
  { addresses }: Pick<NetworkInterface, 'addresses'>,
  facts: GatewayFacts,
): boolean {
  return addresses.some(
    ({ address }) => !saysNothing.test(address) && isOwnLanAddress(facts, canonicalAddress(address)),
  );
}

/** The zone of a link-local address. */
export function zoneOf({ text }: BoundTo): string | undefined {
  return text.split('%')[1];
}

/** The own addresses, without zones, at which packets for the port may come. */
export function addressesOf(place: BoundTo, interfaces: readonly NetworkInterface[]): string[] {
  if (place.address !== 'wildcard') return [place.text.split('%')[0] ?? ''];
  const all = interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address));
  return [...new Set(all.filter(address => address.includes(':') === (place.family === 6)))];
}

/** The names of the interfaces to capture on for these ports. */
export function interfacesFor(
  places: readonly BoundTo[],
  interfaces: readonly NetworkInterface[],
  facts: GatewayFacts,
): string[] {
  const isWanted = (described: NetworkInterface) =>
    places.some(place => {
      if (place.address === 'wildcard') return isLanInterface(described, facts);
      const zone = zoneOf(place);
      if (zone !== undefined) return zone === described.name;
      return described.addresses.some(({ address }) => address === place.text);
    });
  return interfaces.filter(isWanted).map(({ name }) => name);
}
