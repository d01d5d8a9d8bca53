import { EntremiseError } from '../../base/errors.ts';
import type { UdpScope } from '../../native/held-number.ts';
import { meetsMany } from '../../policy/address-class.ts';
import type { PortAddress } from '../../policy/check-port.ts';
import {
  type GatewayFacts,
  isDirectedBroadcast,
  type OwnAddress,
  ownAddress,
} from '../../policy/gateway-facts.ts';
import { networkContains } from '../../policy/network.ts';
import { type CanonicalAddress, canonicalAddress } from '../../policy/target.ts';
import type { PeerNetwork } from '../../relay/relay.ts';
import type { CommandOf } from '../../wire/messages/command.ts';

/**
 * What OPEN binds a port to (P5.1): the wildcard, an address of the gateway, or for UDP a group or a broadcast address on
 * an interface of the owner's LAN.
 */

/** See the head of this file. */
export interface BoundTo {
  /** For authorise(). */
  readonly address: PortAddress;
  /** For the kernel: an IP literal, a link-local one with its zone. */
  readonly text: string;
  readonly family: 4 | 6;
  /** Of UDP: where it meets groups and broadcasts; undefined when no interface is known to have the address. */
  readonly scope?: UdpScope | undefined;
  /** Of UDP: groups and broadcasts may be sent to, since they leave by an interface of the owner's LAN. */
  readonly onLan?: boolean;
  /** Zone of the link-local peers it has. */
  readonly zone?: string | undefined;
}

function isWildcard(address: CanonicalAddress): boolean {
  return address.bytes.every(byte => byte === 0);
}

function checkFamily(address: CanonicalAddress, family: 'ipv4' | 'ipv6' | undefined): void {
  if (family === undefined || family === (address.family === 6 ? 'ipv6' : 'ipv4')) return;
  throw new EntremiseError('bad-request', { message: `${address.text} is no ${family} address.` });
}

/**
 * What the command says.
 * @throws EntremiseError `bad-request`; `address-not-available` for a group or broadcast address without an interface of the
 * owner's LAN
 */
export function boundTo(command: CommandOf<'open'>, facts: GatewayFacts): BoundTo {
  const { protocol, address: text, zone, family } = command;
  const wildcardFamily = family === 'ipv6' ? 6 : 4;
  if (text === undefined)
    return { address: 'wildcard', text: wildcardFamily === 6 ? '::' : '0.0.0.0', family: wildcardFamily };
  if (protocol === 'udp') {
    const bare = canonicalAddress(text);
    checkFamily(bare, family);
    if (meetsMany(bare, facts)) return sharedAddress(bare, zone, facts);
  }
  const address = canonicalAddress(zone === undefined ? text : `${text}%${zone}`);
  checkFamily(address, family);
  if (zone === undefined && /^fe[89ab]/.test(address.text)) {
    throw new EntremiseError('bad-request', {
      message: `${address.text} is link-local; say on which interface by \`zone\`.`,
    });
  }
  const own = ownAddress(facts, address);
  const name = zone ?? own?.interface ?? '';
  return {
    address: isWildcard(address) ? 'wildcard' : address,
    text: address.text,
    family: address.family,
    zone,
    scope: name === '' ? undefined : { interface: name, shared: false },
    onLan: own?.lan ?? false,
  };
}

/** Who is around an interface, as far as addresses tell: its networks, and who is on its link. */
export function neighboursOf(facts: GatewayFacts, name: string): PeerNetwork[] {
  const around = facts.ownAddresses
    .filter(own => own.interface === name)
    .map(({ network: { base, prefixLength } }) => ({ address: base.text, prefixLength }));
  return [...around, { address: 'fe80::', prefixLength: 10 }];
}

function sharedAddress(address: CanonicalAddress, zone: string | undefined, facts: GatewayFacts): BoundTo {
  const name = lanInterface(address, zone, facts);
  return {
    address,
    text: address.text,
    family: address.family,
    zone: name,
    scope: { interface: name, shared: true },
    onLan: true,
  };
}

/** The interface of the owner's LAN that is meant: the one whose broadcast address it is, the one that is said, or the only one. */
function lanInterface(address: CanonicalAddress, zone: string | undefined, facts: GatewayFacts): string {
  const usable = ({ lan, address: own, interface: name }: OwnAddress) =>
    lan && own.family === address.family && name !== '';
  const all = facts.ownAddresses.filter(usable);
  const around = all.filter(({ network }) => networkContains(network, address));
  const fitting = isDirectedBroadcast(facts, address) ? around : all;
  const names = [...new Set(fitting.map(own => own.interface))];
  const [only, ...others] = names;
  if (zone !== undefined && names.includes(zone)) return zone;
  if (zone === undefined && only !== undefined && others.length === 0) return only;
  const list = names.join(', ');
  if (zone === undefined && only !== undefined)
    throw new EntremiseError('bad-request', {
      message: `${address.text} can be met on several interfaces of the LAN; say which by \`zone\`: ${list}.`,
    });
  const which = zone === undefined ? 'there is none' : `${zone} is not one of: ${list || 'none'}`;
  throw new EntremiseError('address-not-available', {
    by: 'mediator',
    message: `${address.text} can be met on an interface of the owner's LAN with an address of its family, and ${which}; the option owner.lan names them.`,
  });
}
