import { type GatewayFacts, isDirectedBroadcast, isOwnAddress } from './gateway-facts.ts';
import { type Network, networkContains, parseNetwork } from './network.ts';
import type { CanonicalAddress } from './target.ts';

/**
 * Kinds of address that a network in a grant or policy never covers, however wide it is: they must be named by these
 * words or exactly (P6.8). `unspecified` is 0.0.0.0/8 and ::, which many systems connect to themselves; `gateway` is
 * every address of the gateway; `reserved` is 240.0.0.0/4 and fec0::/10.
 */
export const addressClasses = [
  'loopback',
  'unspecified',
  'link-local',
  'multicast',
  'broadcast',
  'gateway',
  'reserved',
] as const;

/** One of {@link addressClasses}. */
export type AddressClass = (typeof addressClasses)[number];

const fixedClasses: readonly (readonly [AddressClass, Network])[] = [
  ['loopback', parseNetwork('127.0.0.0/8')],
  ['loopback', parseNetwork('::1')],
  ['unspecified', parseNetwork('0.0.0.0/8')],
  ['unspecified', parseNetwork('::')],
  ['link-local', parseNetwork('169.254.0.0/16')],
  ['link-local', parseNetwork('fe80::/10')],
  ['multicast', parseNetwork('224.0.0.0/4')],
  ['multicast', parseNetwork('ff00::/8')],
  ['broadcast', parseNetwork('255.255.255.255')],
  ['reserved', parseNetwork('240.0.0.0/4')],
  ['reserved', parseNetwork('fec0::/10')],
];

/**
 * The classes of one address, without regard to what it carries inside. Empty for ordinary addresses. `gateway` and
 * directed broadcast are known only with `facts`.
 */
export function classesOf(
  address: CanonicalAddress,
  facts: GatewayFacts | undefined,
): readonly AddressClass[] {
  const classes = classesByNumber(address);
  if (facts === undefined) return classes;
  const isBroadcast = isDirectedBroadcast(facts, address) && !classes.includes('broadcast');
  const isSelf = classes.includes('loopback') || classes.includes('unspecified');
  const isGateway = !isSelf && isOwnAddress(facts, address);
  if (!isBroadcast && !isGateway) return classes;
  return [
    ...classes.filter(name => !isBroadcast || name !== 'reserved'),
    ...(isBroadcast ? (['broadcast'] as const) : []),
    ...(isGateway ? (['gateway'] as const) : []),
  ];
}

const none: readonly AddressClass[] = [];

/** The classes that the address has anywhere. This is asked several times for every connection: it makes nothing for most. */
function classesByNumber(address: CanonicalAddress): readonly AddressClass[] {
  let found = none;
  for (const [name, network] of fixedClasses)
    if (networkContains(network, address) && !found.includes(name)) found = [...found, name];
  return found.includes('broadcast') ? found.filter(name => name !== 'reserved') : found;
}

/** True when a packet to the address may reach several systems: a group, a broadcast; without facts no directed one. */
export function meetsMany(address: CanonicalAddress, facts: GatewayFacts | undefined): boolean {
  return classesOf(address, facts).some(name => name === 'multicast' || name === 'broadcast');
}

/** Classes whose addresses reach the gateway itself. */
const selfReaching: ReadonlySet<AddressClass> = new Set(['loopback', 'unspecified', 'gateway']);

/** True when a packet to an address of these classes is answered by the gateway itself. */
export function reachesGateway(classes: readonly AddressClass[]): boolean {
  return classes.some(name => selfReaching.has(name));
}

/** Where a gateway's own administration listens: SSH, DNS, web, TR-069. Opened only when named one by one (P6.8). */
export const managementNumbers: ReadonlySet<number> = new Set([22, 53, 80, 443, 7547]);
