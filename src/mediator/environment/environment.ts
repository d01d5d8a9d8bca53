import { endianness, hostname, networkInterfaces, uptime } from 'node:os';
import { type GatewayFacts, gatewayFacts } from '../../policy/gateway-facts.ts';
import type { HideableFact } from '../../policy/owner-policy.ts';
import { clipText } from '../../wire/fields.ts';
import type {
  DelegatedPrefix,
  EventsReport,
  NetworkInterface,
  PathReport,
  Report,
  Route,
  WantedService,
} from '../../wire/messages/report.ts';
import { isLanInterface } from '../capture/places.ts';
import { combineInterfaces } from './interfaces.ts';
import type { Machine, ReadText } from './machine.ts';
import { type LogicalNetwork, parseNetifd } from './netifd.ts';
import {
  parseDelegatedPrefixes,
  parseInterfaceNames,
  parseIpv4Routes,
  parseIpv6Addresses,
  parseIpv6Routes,
  parseLocalIpv4,
} from './proc-text.ts';

/** What the mediator knows of the machine it runs on (S5), at one moment. */
export interface Environment extends Machine {
  readonly hostname: string;
  readonly interfaces: readonly NetworkInterface[];
  readonly routes: readonly Route[];
  /** Own addresses of which the interface is not known. */
  readonly strayAddresses: readonly string[];
  /** As netifd knows them; none where there is no netifd. */
  readonly networks: readonly LogicalNetwork[];
  /** IPv6 prefixes that this machine may give to its LANs. */
  readonly prefixes: readonly DelegatedPrefix[];
}

/** IFF_UP of <linux/if.h>. */
const interfaceIsUp = 0x1;

function flagsOf(read: ReadText, name: string): number {
  return Number.parseInt(read(`/sys/class/net/${name}/flags`) ?? '0', 16);
}

type Known = ReturnType<typeof networkInterfaces>;

/** Of interfaces without a carrier only /sys tells, and it may be another network namespace's than this process's. */
function hardwareAddressOf(read: ReadText, known: Known, name: string): string | undefined {
  const text = known[name]?.[0]?.mac ?? read(`/sys/class/net/${name}/address`)?.trim();
  return text === undefined || text === '' || /^[0:]+$/.test(text) ? undefined : clipText(text, 64);
}

function readRoutes(read: ReadText): Route[] {
  return [
    ...parseIpv4Routes(read('/proc/net/route') ?? '', endianness()),
    ...parseIpv6Routes(read('/proc/net/ipv6_route') ?? ''),
  ];
}

/** The default routes, in words: another text is another way out. Costs two files of /proc. */
export function readWayOut(read: ReadText): string {
  const isDefault = ({ prefixLength }: Route) => prefixLength === 0;
  return JSON.stringify(readRoutes(read).filter(isDefault));
}

/** By netifd's word, which knows whose they are, or by the kernel's routes. */
function prefixesOf(read: ReadText, networks: readonly LogicalNetwork[] | undefined): DelegatedPrefix[] {
  if (networks === undefined) return parseDelegatedPrefixes(read('/proc/net/ipv6_route') ?? '');
  return networks.flatMap(({ name, delegated }) => delegated.map(prefix => ({ ...prefix, network: name })));
}

/**
 * Reads the environment; costs some dozen small files of /proc and /sys, a millisecond or two. `networkFile`: what netifd
 * said last, where it is kept.
 */
export function readEnvironment(read: ReadText, machine: Machine, networkFile?: string): Environment {
  const networks = networkFile === undefined ? undefined : parseNetifd(read(networkFile) ?? '');
  const routes = readRoutes(read);
  const known = networkInterfaces();
  const { interfaces, strayAddresses } = combineInterfaces({
    names: parseInterfaceNames(read('/proc/net/dev') ?? ''),
    known,
    ipv6: parseIpv6Addresses(read('/proc/net/if_inet6') ?? ''),
    localIpv4: parseLocalIpv4(read('/proc/net/fib_trie') ?? ''),
    routes,
    isUp: name => name in known || (flagsOf(read, name) & interfaceIsUp) !== 0,
    hardwareAddress: name => hardwareAddressOf(read, known, name),
  });
  const prefixes = prefixesOf(read, networks);
  return {
    ...machine,
    hostname: hostname(),
    interfaces,
    routes,
    strayAddresses,
    networks: networks ?? [],
    prefixes,
  };
}

/** Interfaces that lead to the outside: by the kernel's default routes, or by netifd's, which may be in another table. */
function outsideInterfaces({ routes, networks }: Environment): string[] {
  const defaultRoutes = routes.filter(({ prefixLength }) => prefixLength === 0);
  const ofNetifd = networks.filter(({ outside }) => outside);
  const all = [...defaultRoutes, ...ofNetifd].map(each => each.interface);
  return [...new Set(all.flatMap(name => name ?? []))];
}

/** What authorise() must know of the gateway (P6.8). `lanInterfaces`: those the owner named, if so. */
export function factsOf(
  environment: Environment,
  lanInterfaces: readonly string[] | undefined,
): GatewayFacts {
  const { interfaces, strayAddresses } = environment;
  const stray = strayAddresses.map(address => ({ address, prefixLength: 32 }));
  const described = [...interfaces, { name: '', addresses: stray }];
  return gatewayFacts(described, outsideInterfaces(environment), lanInterfaces);
}

/** What {@link wanTowards} says when there is none. */
export const noWayOut = 'no default route';

/** Interface and gateway that packets to an address leave by when no closer route knows it, in words. */
export function wanTowards({ routes }: Environment, address: string): string {
  const isDefault = ({ prefixLength, destination }: Route) =>
    prefixLength === 0 && destination.includes(':') === address.includes(':');
  const found = routes.find(isDefault);
  return found === undefined ? noWayOut : `${found.interface} ${found.gateway ?? 'on link'}`;
}

/** What a REPORT says besides the environment. */
export interface ReportExtras {
  readonly services: readonly WantedService[];
  readonly software: string;
  readonly facts: GatewayFacts;
  /** What the owner keeps private. */
  readonly hide: readonly HideableFact[];
  /** Instead of the machine's boot id where the kernel does not say one: 16 bytes, this process life. */
  readonly instance: Uint8Array;
  readonly path?: PathReport;
  readonly events?: EventsReport;
}

/** Bounds of the REPORT's lists (docs/protocol.md §6). */
const most = { interfaces: 128, addresses: 64, routes: 512, networks: 16, prefixes: 32 } as const;

/** Its interfaces, and what is known of each besides its addresses. */
function interfacesOf(environment: Environment, facts: GatewayFacts): NetworkInterface[] {
  const outside = outsideInterfaces(environment);
  return environment.interfaces.slice(0, most.interfaces).map(each => {
    const names = environment.networks.filter(network => network.interface === each.name);
    const networks = names.slice(0, most.networks).map(({ name }) => clipText(name, 32));
    return {
      ...each,
      addresses: each.addresses.slice(0, most.addresses),
      lan: isLanInterface(each, facts),
      wan: outside.includes(each.name),
      ...(networks.length === 0 ? {} : { networks }),
    };
  });
}

/** The REPORT (S5), within the bounds of its message. */
export function reportOf(environment: Environment, extras: ReportExtras): Report {
  const { model, board, release } = environment;
  const shown = (fact: HideableFact) => !extras.hide.includes(fact);
  const prefixes = environment.prefixes.slice(0, most.prefixes);
  return {
    hostname: shown('hostname') ? clipText(environment.hostname, 255) : '',
    ...(model !== undefined && shown('model') ? { model: clipText(model, 255) } : {}),
    ...(release !== undefined && shown('release') ? { release: clipText(release, 255) } : {}),
    interfaces: shown('interfaces') ? interfacesOf(environment, extras.facts) : [],
    routes: shown('routes') ? environment.routes.slice(0, most.routes) : [],
    bootId: environment.bootId ?? extras.instance,
    uptimeS: Math.floor(uptime()),
    services: extras.services,
    software: clipText(extras.software, 64),
    ...(extras.path === undefined ? {} : { path: extras.path }),
    ...(extras.events === undefined ? {} : { events: extras.events }),
    ...(board !== undefined && shown('model') ? { board: clipText(board, 64) } : {}),
    ...(prefixes.length > 0 && shown('interfaces') ? { prefixes } : {}),
  };
}
