import {
  type AppliedRules,
  blackHole,
  createLab,
  type ImpairedLink,
  type Impairment,
  type Lab,
  type Masquerade,
  masquerade,
  type Namespace,
} from 'netns-test-helpers';

/**
 * A home behind two NATs, a server, and a technician somewhere else:
 *
 *   device --- gateway === carrier === internet --- server
 *   (LAN)      (NAT)       (NAT)          |
 *                                      terminal
 *
 * Both NATs translate and drop whatever was not asked for from inside.
 */
export interface Home {
  readonly lab: Lab;
  readonly device: Namespace;
  /** Another host of the LAN; undefined unless {@link HomeOptions} asked for it. */
  readonly secondDevice: Namespace | undefined;
  readonly gateway: Namespace;
  readonly carrier: Namespace;
  readonly server: Namespace;
  readonly terminal: Namespace;
  /** The access line, gateway to carrier (`there`) and back; undefined unless {@link HomeOptions} asked for it. */
  readonly line: ImpairedLink | undefined;
  /** Replaces both NATs by others, which know nothing of what the old ones have translated. */
  readonly useNats: (gateway: NatKind, carrier: NatKind) => Promise<void>;
}

/** How a NAT maps and filters, and what it answers strangers. */
export type NatKind = Partial<Pick<Masquerade, 'ports' | 'mapping' | 'filtering' | 'unsolicited'>>;

/** Addresses of {@link buildHome}. */
export const homeAddresses = {
  device: '192.168.1.10',
  deviceIpv6: 'fd00:1::10',
  secondDevice: '192.168.1.11',
  secondDeviceIpv6: 'fd00:1::11',
  gatewayLan: '192.168.1.1',
  gatewayLanIpv6: 'fd00:1::1',
  server: '203.0.113.9',
  /** Only in a home with {@link HomeOptions.ipv6}. */
  serverIpv6: '2001:db8:113::9',
  terminal: '203.0.113.20',
} as const;

/** What may be otherwise. */
export interface HomeOptions {
  /** Begins the names of the namespaces; 1 to 16 of a-z 0-9. */
  readonly name: string;
  /** How both NATs choose ports. */
  readonly ports?: Masquerade['ports'];
  /** Puts an impaired link between gateway and carrier; without, it is a plain cable. */
  readonly line?: Impairment;
  /** What a NAT answers who was not asked for; silence when left out. */
  readonly unsolicited?: Masquerade['unsolicited'];
  /** The way to the server and the terminal exists by IPv6, too. */
  readonly ipv6?: boolean;
  /** There is another device beside the first. */
  readonly secondDevice?: boolean;
  /** Gets every command as a line. */
  readonly log?: (line: string) => void;
}

type Lan = Pick<Home, 'lab' | 'gateway' | 'device' | 'secondDevice'>;

async function connectLan({ lab, gateway, device, secondDevice }: Lan): Promise<void> {
  const host = (namespace: Namespace, number: number) => ({
    namespace,
    interface: 'eth0',
    addresses: [`192.168.1.${number}/24`, `fd00:1::${number}/64`],
    gateways: ['192.168.1.1', 'fd00:1::1'],
  });
  await lab.bridge(
    { namespace: gateway, interface: 'br-lan', addresses: ['192.168.1.1/24', 'fd00:1::1/64'] },
    [host(device, 10), ...(secondDevice === undefined ? [] : [host(secondDevice, 11)])],
  );
}

type Routers = Pick<Home, 'lab' | 'gateway' | 'carrier'>;

/** These, and IPv6 ones where the home has any. */
function both({ ipv6 }: HomeOptions, ipv4: readonly string[], also: readonly string[]): string[] {
  return ipv6 === true ? [...ipv4, ...also] : [...ipv4];
}

async function connectCarrier(
  { lab, gateway, carrier }: Routers,
  options: HomeOptions,
): Promise<ImpairedLink | undefined> {
  const { line } = options;
  const ends = [
    {
      namespace: gateway,
      interface: 'wan',
      addresses: both(options, ['100.64.0.2/24'], ['2001:db8:64::2/64']),
      gateways: both(options, ['100.64.0.1'], ['2001:db8:64::1']),
    },
    {
      namespace: carrier,
      interface: 'sub',
      addresses: both(options, ['100.64.0.1/24'], ['2001:db8:64::1/64']),
    },
  ] as const;
  if (line !== undefined) return lab.impairedLink(...ends, line);
  await lab.link(...ends);
  return undefined;
}

async function connectInternet(
  home: Omit<Home, 'line' | 'useNats'>,
  internet: Namespace,
  options: HomeOptions,
): Promise<void> {
  const addressesOf = (host: number) => both(options, [`203.0.113.${host}/24`], [`2001:db8:113::${host}/64`]);
  const host = (namespace: Namespace, address: string, name = 'eth0') => ({
    namespace,
    interface: name,
    addresses: addressesOf(Number(address.split('.').at(-1))),
    gateways: both(options, ['203.0.113.1'], ['2001:db8:113::1']),
  });
  await home.lab.bridge({ namespace: internet, interface: 'ix', addresses: addressesOf(1) }, [
    host(home.carrier, '203.0.113.2', 'net'),
    host(home.server, homeAddresses.server),
    host(home.terminal, homeAddresses.terminal),
  ]);
}

/** Puts both NATs in force, the second time instead of those of before. */
function natsOf({ gateway, carrier }: Routers, options: HomeOptions): Home['useNats'] {
  const { unsolicited = 'drop', ipv6 = false } = options;
  let inForce: AppliedRules[] = [];
  return async (ofGateway, ofCarrier) => {
    // What passes meanwhile would tell the new ones of ports that the old ones gave.
    const holes = [
      await gateway.apply(blackHole({ outside: 'wan' })),
      await carrier.apply(blackHole({ outside: 'net' })),
    ];
    for (const rules of inForce) await rules.remove();
    inForce = [
      await gateway.apply(masquerade({ outside: 'wan', unsolicited, ipv6, ...ofGateway })),
      await carrier.apply(masquerade({ outside: 'net', unsolicited, ipv6, ...ofCarrier })),
    ];
    for (const router of [gateway, carrier]) await router.flushConntrack();
    for (const hole of holes) await hole.remove();
  };
}

/** Builds the network of {@link Home}; `lab.destroy()` removes it. */
export async function buildHome(options: HomeOptions): Promise<Home> {
  const { name, ports = 'port-preserving', log } = options;
  const lab = await createLab(log === undefined ? { name } : { name, log });
  const home = {
    lab,
    device: await lab.namespace('device'),
    secondDevice: options.secondDevice === true ? await lab.namespace('device2') : undefined,
    gateway: await lab.namespace('gateway'),
    carrier: await lab.namespace('carrier'),
    server: await lab.namespace('server'),
    terminal: await lab.namespace('terminal'),
  };
  const internet = await lab.namespace('internet');
  for (const router of [home.gateway, home.carrier, internet]) await router.enableForwarding();
  await connectLan(home);
  const line = await connectCarrier(home, options);
  await connectInternet(home, internet, options);
  const useNats = natsOf(home, options);
  await useNats({ ports }, { ports });
  return { ...home, line, useNats };
}
