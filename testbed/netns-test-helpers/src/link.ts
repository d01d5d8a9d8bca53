import { checkAddress, checkCidr, checkInterfaceName, checkWhole, isIPv6Text } from './input.ts';
import type { Namespace } from './namespace.ts';
import { until } from './wait.ts';

/** One end of a link, as one asks for it. */
export interface EndSpec {
  readonly namespace: Namespace;
  /** The interface's name, up to 15 characters. */
  readonly interface: string;
  /** IPv4 and IPv6, each with its prefix length. */
  readonly addresses?: readonly string[];
  /** Default routes of the namespace through this interface, one for IPv4, one for IPv6. */
  readonly gateways?: readonly string[];
}

/** What is true of both ends. */
export interface LinkOptions {
  /** Bytes; 1500 when left out. */
  readonly mtu?: number;
}

/** A token bucket on what an interface sends (tc-tbf). */
export interface RateLimit {
  /** Thousands of bits a second, as tc counts them: 1 kbit is 1000 bit. */
  readonly rateKbit: number;
  /** May leave at once after a pause; 10 ms of the rate, at least 10 packets, when left out. */
  readonly burstBytes?: number;
  /** A packet that would wait longer is dropped; 50 when left out. */
  readonly latencyMs?: number;
}

/** An interface of a namespace. Made by `Lab.link` and `Lab.bridge`. */
export class Interface {
  readonly namespace: Namespace;
  readonly name: string;
  readonly mtu: number;
  /** What the link at it does to what it sends, for the drawing; empty for nothing. */
  lineNote = '';
  #addresses: readonly string[];
  #gateways: readonly string[];
  #isUp = true;
  #rateNote = '';

  /** @throws LabError `bad-input` */
  constructor(spec: EndSpec, mtu: number) {
    this.namespace = spec.namespace;
    this.name = checkInterfaceName(spec.interface);
    this.mtu = checkWhole(mtu, 'mtu', 68, 65_535);
    this.#addresses = (spec.addresses ?? []).map(checkCidr);
    this.#gateways = (spec.gateways ?? []).map(checkAddress);
  }

  /** Its addresses as set here, with prefix lengths; link-local ones of the kernel's making not included. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** What the drawing says about it. */
  get drawingNote(): string {
    const mtu = this.mtu === 1_500 ? '' : `mtu ${this.mtu}`;
    return [this.#isUp ? '' : 'down', mtu, this.#rateNote, this.lineNote]
      .filter(text => text !== '')
      .join(', ');
  }

  /** Takes it down: the other end sees the carrier go. Routes through it go too. @throws LabError `command-failed` */
  async down(): Promise<void> {
    await this.namespace.ip(`link set dev ${this.name} down`);
    this.#isUp = false;
  }

  /** Brings it up, with the default routes it was made with. @throws LabError `command-failed` */
  async up(): Promise<void> {
    await this.namespace.ip(`link set dev ${this.name} up`, ...this.#routeLines());
    this.#isUp = true;
  }

  /**
   * Takes its addresses away and gives it others, as a provider does. Routes through it go with the old
   * addresses; `gateways` are the new default routes (those from before when left out).
   *
   * @throws LabError `bad-input`, `command-failed`
   */
  async replaceAddresses(
    addresses: readonly string[],
    gateways: readonly string[] = this.#gateways,
  ): Promise<void> {
    const lines = addresses.map(address => addressLine(this.name, checkCidr(address)));
    const flush = `address flush dev ${this.name} scope global`;
    this.#gateways = gateways.map(checkAddress);
    await this.namespace.ip(flush, ...lines, ...this.#routeLines());
    this.#addresses = [...addresses];
  }

  /** Limits what it sends; limit both ends for both directions. @throws LabError `bad-input`, `command-failed` */
  async limitRate(limit: RateLimit): Promise<void> {
    const rateKbit = checkWhole(limit.rateKbit, 'rateKbit', 1, 100_000_000);
    const usualBurst = Math.max(10 * this.mtu, Math.ceil((rateKbit * 1_000) / 8 / 100));
    const burst = checkWhole(limit.burstBytes ?? usualBurst, 'burstBytes', this.mtu, 1 << 30);
    const latency = checkWhole(limit.latencyMs ?? 50, 'latencyMs', 1, 60_000);
    const bucket = `tbf rate ${rateKbit}kbit burst ${burst}b latency ${latency}ms`;
    await this.namespace.tc(`qdisc replace dev ${this.name} root ${bucket}`);
    this.#rateNote = `${rateKbit} kbit/s`;
  }

  /** Takes the rate limit away; none there is no error. @throws LabError `command-failed` */
  async unlimitRate(): Promise<void> {
    if (this.#rateNote === '') return;
    await this.namespace.tc(`qdisc delete dev ${this.name} root`);
    this.#rateNote = '';
  }

  /** Waits until it is up and has a carrier. @throws LabError `deadline` */
  async untilUp(deadlineMs = 10_000): Promise<void> {
    await untilInterfaceUp(this.namespace, this.name, deadlineMs);
  }

  /** The `ip` lines that set it up, once it exists. */
  setUpLines(): string[] {
    const addresses = this.#addresses.map(address => addressLine(this.name, address));
    return [...addresses, `link set dev ${this.name} mtu ${this.mtu} up`];
  }

  /** Adds its default routes; they need the carrier of both ends, hence apart from setUpLines. */
  async addGateways(): Promise<void> {
    if (this.#gateways.length > 0) await this.namespace.ip(...this.#routeLines());
  }

  toString(): string {
    return `${this.namespace.name}/${this.name}`;
  }

  #routeLines(): string[] {
    return this.#gateways.map(via => `${defaultRouteLine(via)} dev ${this.name}`);
  }
}

/** `default` means IPv4 in a batch of `ip`, so IPv6 spells it out. */
export function defaultRouteLine(via: string): string {
  return `route replace ${isIPv6Text(via) ? '::/0' : 'default'} via ${via}`;
}

/** No duplicate address detection: a second without a usable address would be a second in every test. */
function addressLine(interfaceName: string, cidr: string): string {
  return `address add ${cidr} dev ${interfaceName}${isIPv6Text(cidr) ? ' nodad' : ''}`;
}

/** Waits until an interface (one that a program made, too) is up and has a carrier. @throws LabError `deadline` */
export async function untilInterfaceUp(
  namespace: Namespace,
  name: string,
  deadlineMs = 10_000,
): Promise<void> {
  checkInterfaceName(name);
  await until(
    async () => {
      const shown = await namespace.query(['ip', '-json', 'link', 'show', 'dev', name]);
      const [link] = JSON.parse(shown) as { flags: string[] }[];
      return link?.flags.includes('LOWER_UP') && link.flags.includes('UP');
    },
    { what: `interface ${name} in ${namespace.name} to be up`, deadlineMs },
  );
}

/**
 * A veth pair between two namespaces. Both ends are born where they belong, so that no interface is ever
 * seen in the namespace of the machine itself.
 *
 * @throws LabError `bad-input`, `command-failed`
 */
export async function makeLink(
  a: EndSpec,
  b: EndSpec,
  options: LinkOptions,
): Promise<[Interface, Interface]> {
  const ends: [Interface, Interface] = [
    new Interface(a, options.mtu ?? 1_500),
    new Interface(b, options.mtu ?? 1_500),
  ];
  const [near, far] = ends;
  const pair = `type veth peer name ${far.name} netns ${far.namespace.netns}`;
  await near.namespace.ip(`link add name ${near.name} ${pair}`, ...near.setUpLines());
  await far.namespace.ip(...far.setUpLines());
  await near.addGateways();
  await far.addGateways();
  near.namespace.interfaces.push(near);
  far.namespace.interfaces.push(far);
  return ends;
}

/**
 * A bridge in a namespace: with addresses it is a router's LAN side, without it is a plain switch.
 *
 * @throws LabError `bad-input`, `command-failed`
 */
export async function makeBridge(spec: EndSpec, options: LinkOptions): Promise<Interface> {
  const bridge = new Interface(spec, options.mtu ?? 1_500);
  // Ports forward at once, and neighbour discovery is flooded: nobody has to wait for a first query.
  const kind = 'type bridge stp_state 0 forward_delay 0 mcast_snooping 0';
  await spec.namespace.ip(`link add name ${bridge.name} ${kind}`, ...bridge.setUpLines());
  await bridge.addGateways();
  await switchOnly(spec.namespace);
  spec.namespace.interfaces.push(bridge);
  return bridge;
}

/** Where the kernel has br_netfilter, what a switch passes on would go through the firewall of its machine. */
async function switchOnly(namespace: Namespace): Promise<void> {
  const { code } = await namespace.exec(['test', '-e', '/proc/sys/net/bridge']);
  if (code !== 0) return;
  await namespace.sysctl({
    'net.bridge.bridge-nf-call-iptables': 0,
    'net.bridge.bridge-nf-call-ip6tables': 0,
    'net.bridge.bridge-nf-call-arptables': 0,
  });
}

/**
 * A host on a bridge: a veth pair whose far end is a port of the bridge, named after it.
 *
 * @throws LabError `bad-input`, `command-failed`
 */
export async function attachToBridge(
  bridge: Interface,
  portNumber: number,
  host: EndSpec,
): Promise<Interface> {
  const end = new Interface(host, bridge.mtu);
  const port = `${bridge.name.slice(0, 11)}.p${portNumber}`;
  const pair = `type veth peer name ${port} netns ${bridge.namespace.netns}`;
  await end.namespace.ip(`link add name ${end.name} ${pair}`, ...end.setUpLines());
  await bridge.namespace.ip(`link set dev ${port} master ${bridge.name} mtu ${bridge.mtu} up`);
  await end.addGateways();
  end.namespace.interfaces.push(end);
  return end;
}
