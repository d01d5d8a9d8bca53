import { checkInterfaceName, checkPorts } from './input.ts';
import { neighbourDiscovery } from './nat.ts';
import { type Refusal, refusalRules } from './refusal.ts';

/** A firewall that lets out only TCP to some ports: a value, applied by `Namespace.apply`. */
export interface EgressOnlyTcp {
  readonly kind: 'egress-only-tcp';
  /** The ports that new connections may go to. */
  readonly ports: readonly number[];
  readonly how: Refusal;
  /** Only what leaves by this interface is judged; without it, whatever is forwarded or sent, save on lo. */
  readonly outside: string | undefined;
}

/** A firewall that stops one protocol or all, in both directions: a value, applied by `Namespace.apply`. */
export interface Block {
  readonly kind: 'block';
  readonly protocol: 'tcp' | 'udp' | 'any';
  /** Only these destination ports; all when undefined. */
  readonly ports: readonly number[] | undefined;
  readonly how: Refusal;
  /** Only what comes or goes by this interface; without it, whatever passes, save on lo. */
  readonly outside: string | undefined;
}

/** Answers each packet of a TCP connection with a RST that seems to come from its other end: a value. */
export interface ForgeResets {
  readonly kind: 'forge-resets';
  /** Only connections that have one of these ports at either end; all when undefined. */
  readonly ports: readonly number[] | undefined;
  readonly outside: string | undefined;
}

/** What is common to all firewalls here. */
export interface FirewallOptions {
  /** `drop` (default) or `reject` (RST or ICMP). */
  readonly how?: Refusal;
  /** The interface at which to judge. */
  readonly outside?: string;
}

/**
 * The strict office or hotel: new connections leave only by TCP to `ports` (443, say); answers pass. Judges
 * what the namespace forwards and what it sends itself.
 *
 * @throws LabError `bad-input`
 */
export function egressOnlyTcp(ports: readonly number[], options: FirewallOptions = {}): EgressOnlyTcp {
  return { kind: 'egress-only-tcp', ports: checkPorts(ports), ...judged(options) };
}

/**
 * UDP does not pass, in either direction, flows already under way included.
 *
 * @throws LabError `bad-input`
 */
export function blockUdp(options: FirewallOptions & { readonly ports?: readonly number[] } = {}): Block {
  return {
    kind: 'block',
    protocol: 'udp',
    ports: options.ports && checkPorts(options.ports),
    ...judged(options),
  };
}

/**
 * TCP (to `ports`, or all) does not pass; with `how: 'reject'` every packet of it is answered with RST, so
 * connections under way are torn down too.
 *
 * @throws LabError `bad-input`
 */
export function blockTcp(options: FirewallOptions & { readonly ports?: readonly number[] } = {}): Block {
  return {
    kind: 'block',
    protocol: 'tcp',
    ports: options.ports && checkPorts(options.ports),
    ...judged(options),
  };
}

/**
 * Nothing passes, in either direction, and nobody is told: a cable that leads nowhere, whose ends keep their carrier.
 *
 * @throws LabError `bad-input`
 */
export function blackHole(options: { readonly outside?: string } = {}): Block {
  return { kind: 'block', protocol: 'any', ports: undefined, ...judged(options) };
}

/**
 * Tears down TCP connections under way: whoever sends a packet of one is answered with a RST, and the packet is lost. Its
 * other end hears nothing unless it sends, too. `Namespace.resetConnections` does it once.
 *
 * @throws LabError `bad-input`
 */
export function forgeResets(
  options: { readonly ports?: readonly number[]; readonly outside?: string } = {},
): ForgeResets {
  const ports = options.ports && checkPorts(options.ports);
  return { kind: 'forge-resets', ports, outside: judged(options).outside };
}

/** How a firewall refuses, and where. */
export function judged(options: FirewallOptions): { how: Refusal; outside: string | undefined } {
  const { how = 'drop', outside } = options;
  return { how, outside: outside === undefined ? undefined : checkInterfaceName(outside) };
}

/** The nft commands of an egress firewall, in a table of the given name. */
export function egressOnlyTcpRules(firewall: EgressOnlyTcp, table: string): string[] {
  const leaving = atInterface('oifname', firewall.outside);
  return ['forward', 'output'].flatMap(hook => {
    const place = `inet ${table} ${hook} ${leaving}`;
    return [
      `add chain inet ${table} ${hook} { type filter hook ${hook} priority filter; policy accept; }`,
      `add rule ${place} ct state established,related accept`,
      `add rule ${place} ${neighbourDiscovery} accept`,
      `add rule ${place} tcp dport { ${firewall.ports.join(', ')} } accept`,
      ...refusalRules(place, firewall.how),
    ];
  });
}

/** The nft commands of a block, in a table of the given name. */
export function blockRules(firewall: Block, table: string): string[] {
  const { protocol, ports, how, outside } = firewall;
  const all = protocol === 'any' ? '' : `meta l4proto ${protocol}`;
  const match = ports ? `${protocol} dport { ${ports.join(', ')} }` : all;
  const refusal = how === 'drop' ? 'drop' : protocol === 'tcp' ? 'reject with tcp reset' : 'reject';
  return everywhere(table, outside, [`${match} counter ${refusal}`]);
}

/** The nft commands of forged resets, in a table of the given name. */
export function forgeResetsRules({ ports, outside }: ForgeResets, table: string): string[] {
  const ends = ports
    ? ['dport', 'sport'].map(end => `tcp ${end} { ${ports.join(', ')} }`)
    : ['meta l4proto tcp'];
  return everywhere(
    table,
    outside,
    ends.map(match => `${match} counter reject with tcp reset`),
  );
}

/**
 * The nft commands that judge whatever crosses an interface (or any, save lo), each packet once and each direction by
 * rules of its own.
 */
export function everywhere(table: string, outside: string | undefined, bodies: readonly string[]): string[] {
  const rules = (hook: string, direction: Direction) =>
    bodies.map(body => `add rule inet ${table} ${hook} ${atInterface(direction, outside)} ${body}`);
  const chain = (hook: string) =>
    `add chain inet ${table} ${hook} { type filter hook ${hook} priority filter; policy accept; }`;
  return [
    chain('forward'),
    ...rules('forward', 'oifname'),
    // With no interface named the rule above has judged it already.
    ...(outside === undefined ? [] : rules('forward', 'iifname')),
    chain('output'),
    ...rules('output', 'oifname'),
    chain('input'),
    ...rules('input', 'iifname'),
  ];
}

type Direction = 'iifname' | 'oifname';

function atInterface(direction: Direction, outside: string | undefined): string {
  return outside === undefined ? `${direction} != "lo"` : `${direction} "${outside}"`;
}
