import { fate } from '../../terminal/index.ts';

/**
 * The network that an enclosed command sees: a loopback interface to which every address belongs, and rules that let
 * nothing begin there which has not been asked for outside. Nothing leads out of it.
 */

/** Where the command's packets come from, and whom it asks for names: of documentation (RFC 5737, RFC 3849), so of no home. */
export const enclosureAddresses = {
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  nameServer: '192.0.2.53',
} as const;

/** Lines for `ip -batch`. */
export const ipv4Setup = [
  'link set lo up',
  `address add ${enclosureAddresses.ipv4}/32 dev lo`,
  `route add local default dev lo src ${enclosureAddresses.ipv4}`,
];

/** Lines for `ip -6 -batch`; a kernel without IPv6 takes none. */
export const ipv6Setup = [
  `address add ${enclosureAddresses.ipv6}/128 dev lo nodad`,
  `route add local default dev lo src ${enclosureAddresses.ipv6}`,
];

/**
 * Rules for `nft -f`: what bears no mark and begins something stops here, since the watch has seen it; what is given back is
 * treated as its mark says ({@link fate}). `listener` is the number that stands for every address. Of ICMP the kernel here
 * would answer echoes itself, as if everybody were there.
 */
export function nftRules(listener: number): string {
  return `table inet entremise {
  chain arriving {
    type filter hook prerouting priority mangle; policy accept;
    meta mark ${fate.admit} meta nfproto ipv4 meta l4proto tcp tproxy ip to :${listener} accept
    meta mark ${fate.admit} meta nfproto ipv6 meta l4proto tcp tproxy ip6 to :${listener} accept
    meta mark != 0 accept
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    tcp flags & (syn | ack) == syn drop
    meta l4proto udp drop
  }
  chain delivered {
    type filter hook input priority filter; policy accept;
    meta mark ${fate.refuse} meta l4proto tcp reject with tcp reset
    meta mark ${fate.refuse} reject with icmpx port-unreachable
    meta mark ${fate.unreachable} reject with icmpx host-unreachable
    meta mark ${fate.prohibit} reject with icmpx admin-prohibited
  }
  chain leaving {
    type filter hook output priority filter; policy accept;
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    icmp type echo-request reject with icmp admin-prohibited
    icmpv6 type echo-request reject with icmpv6 admin-prohibited
    meta l4proto != { tcp, udp, icmp, ipv6-icmp } reject with icmpx admin-prohibited
  }
}
`;
}

/** For the command's resolver: no search list, which it would else make of this machine's own name. */
export const resolvConf = `# entremise run: names are resolved on the mediator
nameserver ${enclosureAddresses.nameServer}
search .
options timeout:10 attempts:1
`;

/** A name service switch that asks the hosts file and DNS alone: a service of this machine would answer for this machine. */
export function withoutOtherServices(nsswitch: string): string {
  const others = nsswitch.split('\n').filter(line => !/^\s*hosts\s*:/.test(line));
  return [...others.filter((line, at) => line !== '' || at < others.length - 1), 'hosts: files dns', ''].join(
    '\n',
  );
}
