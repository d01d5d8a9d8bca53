import { checkInterfaceName } from './input.ts';
import { type Refusal, refusalRules } from './refusal.ts';

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
 * A masquerading NAT: what leaves by `outside` takes that interface's address; what comes from outside
 * passes only as an answer. Two of them in series are a carrier's double NAT. `unsolicited: 'reject'`
 * makes the NAT answer strangers with RST or ICMP, as a box does whose own input is open.
 *
 * @throws LabError `bad-input`
 */
export function masquerade(options: {
  readonly outside: string;
  readonly ports?: Masquerade['ports'];
  readonly unsolicited?: Refusal;
  readonly ipv6?: boolean;
}): Masquerade {
  return {
    kind: 'masquerade',
    outside: checkInterfaceName(options.outside),
    ports: options.ports ?? 'port-preserving',
    unsolicited: options.unsolicited ?? 'drop',
    ipv6: options.ipv6 ?? false,
  };
}

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
    ...refuseFromOutsideRules(nat, table),
    `add chain inet ${table} postrouting { type nat hook postrouting priority srcnat; policy accept; }`,
    `add rule inet ${table} postrouting oifname "${nat.outside}" ${family}masquerade${ports}`,
  ];
}

/** The nft commands of a stateful firewall, in a table of the given name. */
export function refuseFromOutsideRules(
  firewall: Pick<Masquerade, 'outside' | 'unsolicited'>,
  table: string,
): string[] {
  const fromOutside = `iifname "${firewall.outside}"`;
  return ['input', 'forward'].flatMap(hook => [
    `add chain inet ${table} ${hook} { type filter hook ${hook} priority filter; policy accept; }`,
    `add rule inet ${table} ${hook} ${fromOutside} ct state established,related accept`,
    ...(hook === 'input'
      ? [`add rule inet ${table} ${hook} ${fromOutside} ${neighbourDiscovery} accept`]
      : []),
    ...refusalRules(`inet ${table} ${hook} ${fromOutside}`, firewall.unsolicited),
  ]);
}

/** IPv6 finds its neighbours by ICMP: a firewall that drops it drops IPv6 altogether. */
export const neighbourDiscovery =
  'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert }';
