import type { Neighbour } from '../../native/addon.ts';
import { type GatewayFacts, isOnLan, isOwnAddress } from '../../policy/gateway-facts.ts';
import { networkContains, networkOf } from '../../policy/network.ts';
import { addressFromBytes, type CanonicalAddress, canonicalAddress } from '../../policy/target.ts';
import type { NetworkInterface } from '../../wire/messages/report.ts';
import { isLanInterface } from '../capture/places.ts';
import { type Device, maxDeviceAddresses } from './device.ts';
import type { Lease } from './leases.ts';

/**
 * The devices of the owner's LAN: what the DHCP servers leased, and whom the kernel has spoken to, put together by hardware
 * address. A device that has no address in a directly attached LAN is none; link-local addresses are not told.
 */

/** What is known of the LAN. */
export interface DeviceSources {
  readonly leases: readonly Lease[];
  readonly neighbours: readonly Neighbour[];
  readonly facts: GatewayFacts;
  readonly interfaces: readonly NetworkInterface[];
  /** ms since 1970. */
  readonly nowMs: number;
}

/** NUD_* of <linux/neighbour.h>. */
const nud = { reachable: 0x02, stale: 0x04, delay: 0x08, probe: 0x10, permanent: 0x80 } as const;

function seenBy(state: number): Device['seen'] {
  if ((state & (nud.reachable | nud.permanent)) !== 0) return 'reachable';
  return (state & (nud.stale | nud.delay | nud.probe)) === 0 ? undefined : 'stale';
}

/** One address of a device, and what a source says with it. */
type Sighting = Omit<Device, 'addresses'> & { readonly address: CanonicalAddress };

function isLinkLocal({ family, bytes }: CanonicalAddress): boolean {
  const [first = 0, second = 0] = bytes;
  return family === 6 ? first === 0xfe && (second & 0xc0) === 0x80 : first === 169 && second === 254;
}

function isOfLan(facts: GatewayFacts, address: CanonicalAddress): boolean {
  return isOnLan(facts, address) && !isOwnAddress(facts, address) && !isLinkLocal(address);
}

function neighbourSightings({ neighbours, facts, interfaces }: DeviceSources): Sighting[] {
  const lan = new Set(interfaces.filter(each => isLanInterface(each, facts)).map(({ name }) => name));
  return neighbours.flatMap(({ interface: name, address: bytes, hardwareAddress: hardware, state }) => {
    const seen = seenBy(state);
    if (seen === undefined || !lan.has(name) || hardware.length !== 6) return [];
    const address = addressFromBytes(bytes);
    const hardwareAddress = hardware.toString('hex').match(/../g)?.join(':') ?? '';
    return isOfLan(facts, address) ? [{ address, hardwareAddress, interface: name, seen }] : [];
  });
}

function interfaceTowards(interfaces: readonly NetworkInterface[], address: CanonicalAddress) {
  const found = interfaces.find(({ addresses }) =>
    addresses.some(own =>
      networkContains(networkOf(canonicalAddress(own.address), own.prefixLength), address),
    ),
  );
  return found === undefined ? {} : { interface: found.name };
}

function leaseSightings({ leases, facts, interfaces, nowMs }: DeviceSources): Sighting[] {
  return leases.flatMap(({ address: text, untilMs: leaseUntilMs, ...said }) => {
    const address = canonicalAddress(text);
    if (!isOfLan(facts, address) || (leaseUntilMs !== undefined && leaseUntilMs <= nowMs)) return [];
    const end = leaseUntilMs === undefined ? {} : { leaseUntilMs };
    return [{ address, ...interfaceTowards(interfaces, address), ...said, ...end }];
  });
}

/** Sightings of one device: by its hardware address, which a lease of IPv6 does not say but a neighbour does. */
function byDevice(sightings: readonly Sighting[]): Sighting[][] {
  const known = new Map<string, string>();
  for (const { address, hardwareAddress } of sightings)
    if (hardwareAddress !== undefined && !known.has(address.text)) known.set(address.text, hardwareAddress);
  const devices = new Map<string, Sighting[]>();
  for (const sighting of sightings) {
    const key = sighting.hardwareAddress ?? known.get(sighting.address.text) ?? sighting.address.text;
    const before = devices.get(key);
    if (before === undefined) devices.set(key, [sighting]);
    else before.push(sighting);
  }
  return [...devices.values()];
}

/** IPv4 before IPv6, then by number. */
function compareAddresses(a: CanonicalAddress, b: CanonicalAddress): number {
  return a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes);
}

interface Placed {
  readonly first: CanonicalAddress;
  readonly device: Device;
}

function deviceOf(sightings: readonly Sighting[]): Placed[] {
  const addresses = new Map(sightings.map(({ address }) => [address.text, address]));
  const sorted = [...addresses.values()].sort(compareAddresses).slice(0, maxDeviceAddresses);
  const [first] = sorted;
  if (first === undefined) return [];
  const isReachable = sightings.some(({ seen }) => seen === 'reachable');
  const said = Object.assign({}, ...sightings.map(({ address: _, ...rest }) => rest)) as Omit<
    Sighting,
    'address'
  >;
  const seen = isReachable ? ({ seen: 'reachable' } as const) : {};
  return [{ first, device: { addresses: sorted.map(({ text }) => text), ...said, ...seen } }];
}

/** The devices, by their first address. */
export function devicesOf(sources: DeviceSources): Device[] {
  const sightings = [...leaseSightings(sources), ...neighbourSightings(sources)];
  const placed = byDevice(sightings).flatMap(deviceOf);
  return placed.sort((a, b) => compareAddresses(a.first, b.first)).map(({ device }) => device);
}
