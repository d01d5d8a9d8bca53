import { LabError } from './errors.ts';
import { checkInterfaceName, checkWhole } from './input.ts';
import { natBehaviourRules } from './nat-behaviour.ts';
import { type Refusal, refusalRules } from './refusal.ts';

/**
 * How a NAT's mapping or filter looks at the other side (RFC 4787 sections 4.1 and 5): not at all, at the address, or at
 * address and port. In the old words: filters of the three kinds are full cone, restricted cone and port-restricted cone;
 * a mapping of the third kind is a symmetric NAT.
 */
export type NatBehaviour = (typeof natBehaviours)[number];

/** All of {@link NatBehaviour}, from the kindest to the strictest. */
export const natBehaviours = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
] as const;

/** A router that hides the networks behind it, as homes and carriers have: a value, applied by `Namespace.apply`. */
export interface Masquerade {
  readonly kind: 'masquerade';
  /** The interface that faces away from the hidden network. */
  readonly outside: string;
  /**
   * `port-preserving`: the source port is kept while it is free, which is what Linux does and looks kinder
   * than many boxes are. `fully-random`: each connection gets an unrelated port.
   */
  readonly ports: 'port-preserving' | 'fully-random';
  /** For which destinations a host's port has one and the same outside port. */
  readonly mapping: NatBehaviour;
  /** Who may send to an outside port, once something has left by it. */
  readonly filtering: NatBehaviour;
  /** How long mapping and filter last when nothing leaves; conntrack's own timers rule the flows themselves. */
  readonly mappingSeconds: number;
  /** What an unsolicited packet from outside meets. */
  readonly unsolicited: Refusal;
  /** Translate IPv6 too. Off by default: homes do not, they only refuse from outside. */
  readonly ipv6: boolean;
}

/** A router that translates nothing and lets nothing unsolicited in from outside. */
export interface RefuseFromOutside {
  readonly kind: 'refuse-from-outside';
  /** The interface that faces the untrusted side. */
  readonly outside: string;
  /** What an unsolicited packet from outside meets. */
  readonly unsolicited: Refusal;
}

/**
 * A masquerading NAT: what leaves by `outside` takes that interface's address; what comes from outside passes only as an
 * answer, or where `filtering` is kinder than Linux. Two of them in series are a carrier's double NAT. `unsolicited:
 * 'reject'` makes the NAT answer strangers with RST or ICMP, as a box does whose own input is open.
 *
 * Without `mapping` it is what Linux does: endpoint-independent while ports are preserved, else address and port
 * dependent. `mappingSeconds` (300) is for the other kinds, which keep tables of their own.
 *
 * @throws LabError `bad-input`; also for a preserved port with a mapping that depends on the destination.
 */
export function masquerade(options: {
  readonly outside: string;
  readonly ports?: Masquerade['ports'];
  readonly mapping?: NatBehaviour;
  readonly filtering?: NatBehaviour;
  readonly mappingSeconds?: number;
  readonly unsolicited?: Refusal;
  readonly ipv6?: boolean;
}): Masquerade {
  const { ports = 'port-preserving' } = options;
  const mapping = options.mapping ?? (ports === 'fully-random' ? strictest : kindest);
  const filtering = options.filtering ?? strictest;
  for (const behaviour of [mapping, filtering])
    if (!natBehaviours.includes(behaviour))
      throw new LabError('bad-input', `no NAT behaviour ${behaviour}: ${natBehaviours.join(', ')}`);
  if (ports === 'port-preserving' && mapping !== kindest)
    throw new LabError(
      'bad-input',
      `a preserved port is the same for all: ${mapping} mapping needs fully-random`,
    );
  return {
    kind: 'masquerade',
    outside: checkInterfaceName(options.outside),
    ports,
    mapping,
    filtering,
    mappingSeconds: checkWhole(options.mappingSeconds ?? 300, 'mappingSeconds', 1, 1_000_000),
    unsolicited: options.unsolicited ?? 'drop',
    ipv6: options.ipv6 ?? false,
  };
}

const kindest: NatBehaviour = 'endpoint-independent';
const strictest: NatBehaviour = 'address-and-port-dependent';

/**
 * A stateful firewall without translation: answers pass, the rest from outside does not.
 *
 * @throws LabError `bad-input`
 */
export function refuseFromOutside(options: {
  readonly outside: string;
  readonly unsolicited?: Refusal;
}): RefuseFromOutside {
  const outside = checkInterfaceName(options.outside);
  return { kind: 'refuse-from-outside', outside, unsolicited: options.unsolicited ?? 'drop' };
}

/** The nft commands of a masquerading NAT, in a table of the given name. */
export function masqueradeRules(nat: Masquerade, table: string): string[] {
  const family = nat.ipv6 ? '' : 'meta nfproto ipv4 ';
  const ports = nat.ports === 'fully-random' ? ' fully-random' : '';
  return [
    ...refuseFromOutsideRules(nat, table, nat.filtering === strictest ? [] : ['ct status dnat accept']),
    `add chain inet ${table} postrouting { type nat hook postrouting priority srcnat; policy accept; }`,
    ...natBehaviourRules(nat, table),
    `add rule inet ${table} postrouting oifname "${nat.outside}" ${family}masquerade${ports}`,
  ];
}

/** The nft commands of a stateful firewall, in a table of the given name. */
export function refuseFromOutsideRules(
  firewall: Pick<Masquerade, 'outside' | 'unsolicited'>,
  table: string,
  exceptions: readonly string[] = [],
): string[] {
  const fromOutside = `iifname "${firewall.outside}"`;
  return ['input', 'forward'].flatMap(hook => [
    `add chain inet ${table} ${hook} { type filter hook ${hook} priority filter; policy accept; }`,
    `add rule inet ${table} ${hook} ${fromOutside} ct state established,related accept`,
    ...exceptions.map(exception => `add rule inet ${table} ${hook} ${fromOutside} ${exception}`),
    ...(hook === 'input'
      ? [`add rule inet ${table} ${hook} ${fromOutside} ${neighbourDiscovery} accept`]
      : []),
    ...refusalRules(`inet ${table} ${hook} ${fromOutside}`, firewall.unsolicited),
  ]);
}

/** IPv6 finds its neighbours by ICMP: a firewall that drops it drops IPv6 altogether. */
export const neighbourDiscovery =
  'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert }';
