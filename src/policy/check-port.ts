import { classesOf } from './address-class.ts';
import { type AddressEntry, namedExactly } from './address-entry.ts';
import { type GatewayFacts, isOnLan, isOwnAddress } from './gateway-facts.ts';
import { networkContains } from './network.ts';
import {
  bindableRanges,
  firstOrdinaryNumber,
  intersectRanges,
  type NumberRange,
  rangesContain,
} from './number-range.ts';
import type { Ports } from './permissions.ts';
import type { CanonicalAddress } from './target.ts';
import { type Denial, denied, type Side } from './verdict.ts';

/** What a port is bound to: an address of the gateway, or the wildcard of a family (P5.1). */
export type PortAddress = CanonicalAddress | 'wildcard';

/** Which number is asked for (S7): this one, the first free from this one upwards, or whichever. */
export type NumberWish =
  | { readonly choice: 'mandatory'; readonly number: number }
  | { readonly choice: 'preferred'; readonly number: number }
  | { readonly choice: 'any' };

/** 0.0.0.0 and :: are the wildcard in other words. */
function isWildcard(address: PortAddress): address is 'wildcard' {
  return address === 'wildcard' || address.bytes.every(byte => byte === 0);
}

function coversOwn(entry: AddressEntry, address: CanonicalAddress, facts: GatewayFacts | undefined): boolean {
  switch (entry.kind) {
    case 'network':
      return networkContains(entry.network, address);
    case 'lan':
      return facts === undefined || isOnLan(facts, address);
    case 'class':
      return entry.name === 'gateway' && (facts === undefined || isOwnAddress(facts, address));
    case 'wildcard':
      return false;
  }
}

function checkAddress(
  by: Side,
  entries: readonly AddressEntry[],
  address: CanonicalAddress,
  facts: GatewayFacts | undefined,
): Denial | undefined {
  if (namedExactly(entries, address)) return undefined;
  const classes = classesOf(address, facts).filter(name => name !== 'gateway');
  const isNamed = (name: string) => entries.some(entry => entry.kind === 'class' && entry.name === name);
  const missing = classes.find(name => !isNamed(name));
  if (missing !== undefined) {
    return denied(by, 'ports.addresses', `name ${address.text}, by that address or by "${missing}"`);
  }
  if (classes.length > 0 || entries.some(entry => coversOwn(entry, address, facts))) return undefined;
  return denied(by, 'ports.addresses', `name ${address.text}`);
}

/**
 * Refuses an address that the side does not let a port be bound to. `serves`: outsiders may reach the port (LISTEN, UDP);
 * the wildcard is free for ports that only connect.
 */
export function checkPortAddress(
  by: Side,
  ports: Ports,
  address: PortAddress,
  serves: boolean,
  facts: GatewayFacts | undefined,
): Denial | undefined {
  if (!isWildcard(address)) return checkAddress(by, ports.addresses, address, facts);
  if (!serves || ports.addresses.some(entry => entry.kind === 'wildcard')) return undefined;
  return denied(by, 'ports.addresses', 'name "wildcard", or the port be opened on one address');
}

/** Refuses a wish that no number the side allows can fulfil. */
export function checkPortNumber(
  by: Side,
  ports: Ports,
  protocol: 'tcp' | 'udp',
  wish: NumberWish,
): Denial | undefined {
  const ranges = bindableRanges(ports[protocol]);
  const field = `ports.${protocol}`;
  switch (wish.choice) {
    case 'any':
      return ranges.length > 0 ? undefined : denied(by, field, 'contain some number');
    case 'preferred':
      if (ranges.some(range => range.last >= wish.number)) return undefined;
      return denied(by, field, `contain ${wish.number} or a number above it`);
    case 'mandatory': {
      if (rangesContain(ranges, wish.number)) return undefined;
      const low = wish.number < firstOrdinaryNumber ? ' by itself or in a range below 1024' : '';
      return denied(by, field, `contain ${wish.number}${low}`);
    }
  }
}

/** The numbers that both sides let a port have: where the candidates of `preferred` and `any` are taken from. */
export function commonPortNumbers(grant: Ports, owner: Ports, protocol: 'tcp' | 'udp'): NumberRange[] {
  return intersectRanges(bindableRanges(grant[protocol]), bindableRanges(owner[protocol]));
}
