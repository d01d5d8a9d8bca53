import type { Masquerade } from './nat.ts';

/*
 * Conntrack knows connections, not mappings: it picks an outside port for each connection, and lets in only what belongs
 * to one. The kinds of RFC 4787 that need more get it from three tables of nftables, for TCP and UDP over IPv4:
 *
 *   mapping    inside address and port (and the destination's address)  ->  outside port, drawn once
 *   inside     outside port  ->  inside address and port, learned from what leaves
 *   contacted  outside port and outside address, likewise
 *
 * `update` draws only for what is not in the table yet; for the rest it starts the clock anew.
 */

/** The nft commands by which a NAT maps and filters otherwise than conntrack; none for Linux's own kind. */
export function natBehaviourRules(nat: Masquerade, table: string): string[] {
  const draws = nat.ports === 'fully-random' && nat.mapping !== 'address-and-port-dependent';
  const admits = nat.filtering !== 'address-and-port-dependent';
  return [...(draws ? drawnPortRules(nat, table) : []), ...(admits ? admissionRules(nat, table) : [])];
}

const lifetime = ({ mappingSeconds }: Masquerade) =>
  `flags dynamic, timeout; timeout ${mappingSeconds}s; size 65536;`;

/** One random outside port for all that leaves from a host's port, or for all of it to one address. */
function drawnPortRules(nat: Masquerade, table: string): string[] {
  const byAddress = nat.mapping === 'address-dependent';
  const type = `inet_proto . ipv4_addr . inet_service${byAddress ? ' . ipv4_addr' : ''}`;
  const key = (port: string) => `meta l4proto . ip saddr . ${port}${byAddress ? ' . ip daddr' : ''}`;
  const leaving = `oifname "${nat.outside}"`;
  // Some versions of nft leave such a number in the machine's byte order, so both bytes are made large enough: 4,096
  // numbers within 49152 to 65535, the range that RFC 6335 leaves to everybody.
  const draw = 'numgen random mod 65536 | 0xc0c0';
  return [
    `add map inet ${table} mapping { type ${type} : inet_service; ${lifetime(nat)} }`,
    `add chain inet ${table} draw { type filter hook postrouting priority srcnat - 1; policy accept; }`,
    ...['tcp', 'udp'].flatMap(protocol => [
      `add rule inet ${table} draw ${leaving} ip protocol ${protocol} ct direction original update @mapping { ${key(`${protocol} sport`)} : ${draw} }`,
      `add rule inet ${table} postrouting ${leaving} ip protocol ${protocol} masquerade to : ${key(`${protocol} sport`)} map @mapping`,
    ]),
  ];
}

/** Lets strangers in to the ports that something has left by: all of them, or those of addresses that were sent to. */
function admissionRules(nat: Masquerade, table: string): string[] {
  const byAddress = nat.filtering === 'address-dependent';
  // Behind the translation, where the packet has its outside port.
  const leaving = `add rule inet ${table} learn oifname "${nat.outside}" meta l4proto { tcp, udp }`;
  const arriving = `iifname "${nat.outside}" meta l4proto { tcp, udp }`;
  const contacted = byAddress ? ' meta l4proto . th dport . ip saddr @contacted' : '';
  const learnt = (direction: string) =>
    `ct direction ${direction} update @inside { meta l4proto . th sport : ct ${direction} ip saddr . ct ${direction} proto-src }`;
  return [
    `add map inet ${table} inside { type inet_proto . inet_service : ipv4_addr . inet_service; ${lifetime(nat)} }`,
    `add chain inet ${table} learn { type filter hook postrouting priority srcnat + 1; policy accept; }`,
    `${leaving} ${learnt('original')}`,
    // What answers a stranger keeps the mapping alive, too: the source of such an answer is the host inside.
    `${leaving} ${learnt('reply')}`,
    ...(byAddress
      ? [
          `add set inet ${table} contacted { type inet_proto . inet_service . ipv4_addr; ${lifetime(nat)} }`,
          `${leaving} update @contacted { meta l4proto . th sport . ip daddr }`,
        ]
      : []),
    `add chain inet ${table} admit { type nat hook prerouting priority dstnat; policy accept; }`,
    `add rule inet ${table} admit ${arriving}${contacted} dnat ip to meta l4proto . th dport map @inside`,
  ];
}
