import {
  isLastOf,
  isSingleAddress,
  type Network,
  networkContains,
  networkOf,
  parseNetwork,
} from './network.ts';
import { type CanonicalAddress, parseAddress } from './target.ts';

/**
 * What authorise() must know of the gateway it protects: which addresses are its own, and which networks are the
 * owner's LAN. Made anew by the mediator whenever an interface changes.
 */
export interface GatewayFacts {
  readonly ownAddresses: readonly OwnAddress[];
}

/** An address of the gateway. */
export interface OwnAddress {
  readonly address: CanonicalAddress;
  /** Name of the interface that has it; empty when that is not known. */
  readonly interface: string;
  /** The directly attached network around it. */
  readonly network: Network;
  /** It is on an interface of the owner's LAN. */
  readonly lan: boolean;
}

/** An interface as the operating system lists it. */
export interface InterfaceDescription {
  readonly name: string;
  readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[];
}

const privateNetworks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'].map(parseNetwork);

/** True for private addresses (RFC 1918, RFC 4193). */
export function isPrivate(address: CanonicalAddress): boolean {
  return privateNetworks.some(network => networkContains(network, address));
}

function isLoopbackInterface(described: InterfaceDescription): boolean {
  return described.addresses.some(({ address }) => address === '127.0.0.1' || address === '::1');
}

/** The rule for an owner who named no LAN interfaces: a private address, and not the way to the outside. */
function looksLikeLan(described: InterfaceDescription, defaultRoutes: ReadonlySet<string>): boolean {
  if (defaultRoutes.has(described.name) || isLoopbackInterface(described)) return false;
  return described.addresses.some(({ address, prefixLength }) => {
    const parsed = parseAddress(address);
    return parsed !== undefined && isPrivate(parsed) && !isSingleAddress(networkOf(parsed, prefixLength));
  });
}

function ownAddressesOf(described: InterfaceDescription, lan: boolean): OwnAddress[] {
  // Addresses with a label of their own (br-lan:1) are their interface's.
  const name = described.name.replace(/:.*/, '');
  return described.addresses.flatMap(({ address: text, prefixLength }) => {
    const address = parseAddress(text);
    return address === undefined
      ? []
      : [{ address, interface: name, network: networkOf(address, prefixLength), lan }];
  });
}

/**
 * The facts for these interfaces. `lanInterfaces` are those the owner named; without it an interface is LAN when it has
 * a private address with a network around it and no default route goes through it (so never the upstream side of a
 * second NAT).
 */
export function gatewayFacts(
  interfaces: readonly InterfaceDescription[],
  defaultRouteInterfaces: readonly string[],
  lanInterfaces?: readonly string[],
): GatewayFacts {
  const defaultRoutes = new Set(defaultRouteInterfaces);
  const isLan = (described: InterfaceDescription) =>
    lanInterfaces?.includes(described.name) ?? looksLikeLan(described, defaultRoutes);
  return { ownAddresses: interfaces.flatMap(each => ownAddressesOf(each, isLan(each))) };
}

/** The gateway's own address that this one is, if it is one. */
export function ownAddress(facts: GatewayFacts, address: CanonicalAddress): OwnAddress | undefined {
  return facts.ownAddresses.find(own => sameBytes(own.address, address));
}

/** True for every address of the gateway, and for the IPv6 address that any router of a network answers (RFC 4291 §2.6.1). */
export function isOwnAddress(facts: GatewayFacts, address: CanonicalAddress): boolean {
  return facts.ownAddresses.some(own => {
    if (own.address.bytes.length === address.bytes.length && sameBytes(own.address, address)) return true;
    return own.address.family === 6 && own.network.prefixLength < 127 && sameBytes(own.network.base, address);
  });
}

/** Zones do not count: fe80::1 is the gateway's on every interface of it. */
function sameBytes(left: CanonicalAddress, right: CanonicalAddress): boolean {
  return left.family === right.family && left.bytes.every((byte, index) => byte === right.bytes[index]);
}

/** True for the broadcast address of an attached IPv4 network, and for its all-zeros form (RFC 1122 §3.3.6). */
export function isDirectedBroadcast(facts: GatewayFacts, address: CanonicalAddress): boolean {
  return facts.ownAddresses.some(
    ({ address: own, network }) =>
      own.family === 4 &&
      network.prefixLength < 31 &&
      (sameBytes(network.base, address) || isLastOf(network, address)),
  );
}

/** True when the address lies in a network that is directly attached to a LAN interface. */
export function isOnLan(facts: GatewayFacts, address: CanonicalAddress): boolean {
  return facts.ownAddresses.some(own => own.lan && networkContains(own.network, address));
}

/** True for the gateway's own addresses on LAN interfaces. */
export function isOwnLanAddress(facts: GatewayFacts, address: CanonicalAddress): boolean {
  return facts.ownAddresses.some(own => own.lan && sameBytes(own.address, address));
}
