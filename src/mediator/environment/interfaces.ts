import type { NetworkInterfaceInfo } from 'node:os';
import { networkContains, networkOf } from '../../policy/network.ts';
import { canonicalAddress } from '../../policy/target.ts';
import { canonicalIp } from '../../wire/ip.ts';
import type { NetworkInterface } from '../../wire/messages/report.ts';
import type { AddressLine, RouteLine } from './proc-text.ts';

/**
 * The interfaces of the gateway, put together from several sources: os.networkInterfaces() knows addresses with their
 * prefix, but leaves out every interface that has no carrier. Such an interface's address is still the gateway's own,
 * answered from everywhere else, and so must be known to authorise().
 */

/** What the sources say. */
export interface InterfaceSources {
  /** Names, from /proc/net/dev. */
  readonly names: readonly string[];
  /** os.networkInterfaces(). */
  readonly known: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
  /** /proc/net/if_inet6. */
  readonly ipv6: readonly AddressLine[];
  /** /proc/net/fib_trie. */
  readonly localIpv4: readonly string[];
  /** Both families. */
  readonly routes: readonly RouteLine[];
  /** IFF_UP of an interface. */
  isUp(name: string): boolean;
  hardwareAddress(name: string): string | undefined;
}

/** Everything about the interfaces, and the local addresses that belong to none that is known. */
export interface Interfaces {
  readonly interfaces: readonly NetworkInterface[];
  readonly strayAddresses: readonly string[];
}

type Address = { readonly address: string; readonly prefixLength: number };

function prefixOf(cidr: string | null): number | undefined {
  const length = Number(cidr?.split('/')[1]);
  return Number.isInteger(length) ? length : undefined;
}

function knownAddresses(infos: readonly NetworkInterfaceInfo[] | undefined): Address[] {
  return (infos ?? []).flatMap(({ address, cidr }) => {
    const canonical = canonicalIp(address.split('%')[0] ?? '');
    const prefixLength = prefixOf(cidr);
    return canonical === undefined || prefixLength === undefined
      ? []
      : [{ address: canonical, prefixLength }];
  });
}

/** The directly attached network around an address tells which interface has it. */
function attachedAround(address: string, routes: readonly RouteLine[]): RouteLine | undefined {
  const target = canonicalAddress(address);
  return routes.find(
    ({ destination, prefixLength, gateway }) =>
      gateway === undefined &&
      prefixLength > 0 &&
      networkContains(networkOf(canonicalAddress(destination), prefixLength), target),
  );
}

function withoutDoubles(addresses: readonly Address[]): Address[] {
  return [...new Map(addresses.map(each => [each.address, each])).values()];
}

/** See the head of this file. */
export function combineInterfaces(sources: InterfaceSources): Interfaces {
  const { known, ipv6, localIpv4, routes, isUp, hardwareAddress } = sources;
  const names = [...new Set([...sources.names, ...Object.keys(known)])];
  const listed = new Set(names.flatMap(name => knownAddresses(known[name]).map(({ address }) => address)));
  const unlisted = localIpv4
    .filter(address => !listed.has(address))
    .map(address => ({ address, around: attachedAround(address, routes) }));
  const interfaces = names.map(name => {
    const hardware = hardwareAddress(name);
    const found = unlisted.flatMap(({ address, around }) =>
      around?.interface === name ? [{ address, prefixLength: around.prefixLength }] : [],
    );
    const others = ipv6.filter(line => line.interface === name);
    const addresses = withoutDoubles([
      ...knownAddresses(known[name]),
      ...found,
      ...others.map(({ address, prefixLength }) => ({ address, prefixLength })),
    ]);
    return {
      name,
      ...(hardware === undefined ? {} : { hardwareAddress: hardware }),
      up: isUp(name),
      addresses,
    };
  });
  const stray = unlisted.filter(({ around }) => around === undefined || !names.includes(around.interface));
  return { interfaces, strayAddresses: stray.map(({ address }) => address) };
}
