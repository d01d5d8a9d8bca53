import { endianness, hostname, networkInterfaces, uptime } from 'node:os';
import { type GatewayFacts, gatewayFacts } from '../../policy/gateway-facts.ts';
import type { HideableFact } from '../../policy/owner-policy.ts';
import { clipText } from '../../wire/fields.ts';
import type {
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
import {
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

/** Reads the environment; costs some dozen small files of /proc and /sys, a millisecond or two. */
export function readEnvironment(read: ReadText, machine: Machine): Environment {
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
  return { ...machine, hostname: hostname(), interfaces, routes, strayAddresses };
}

/** What authorise() must know of the gateway (P6.8). `lanInterfaces`: those the owner named, if so. */
export function factsOf(
  environment: Environment,
  lanInterfaces: readonly string[] | undefined,
): GatewayFacts {
  const { interfaces, routes, strayAddresses } = environment;
  const stray = strayAddresses.map(address => ({ address, prefixLength: 32 }));
  const described = [...interfaces, { name: '', addresses: stray }];
  const defaultRoutes = routes.filter(({ prefixLength }) => prefixLength === 0);
  return gatewayFacts(
    described,
    defaultRoutes.map(route => route.interface),
    lanInterfaces,
  );
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
const most = { interfaces: 128, addresses: 64, routes: 512 } as const;

/** The REPORT (S5), within the bounds of its message. */
export function reportOf(environment: Environment, extras: ReportExtras): Report {
  const { model, release } = environment;
  const shown = (fact: HideableFact) => !extras.hide.includes(fact);
  const interfaces = environment.interfaces.slice(0, most.interfaces).map(each => ({
    ...each,
    addresses: each.addresses.slice(0, most.addresses),
    lan: isLanInterface(each, extras.facts),
  }));
  return {
    hostname: shown('hostname') ? clipText(environment.hostname, 255) : '',
    ...(model !== undefined && shown('model') ? { model: clipText(model, 255) } : {}),
    ...(release !== undefined && shown('release') ? { release: clipText(release, 255) } : {}),
    interfaces: shown('interfaces') ? interfaces : [],
    routes: shown('routes') ? environment.routes.slice(0, most.routes) : [],
    bootId: environment.bootId ?? extras.instance,
    uptimeS: Math.floor(uptime()),
    services: extras.services,
    software: clipText(extras.software, 64),
    ...(extras.path === undefined ? {} : { path: extras.path }),
    ...(extras.events === undefined ? {} : { events: extras.events }),
  };
}
