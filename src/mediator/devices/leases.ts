import { clipText } from '../../wire/fields.ts';
import { canonicalIp } from '../../wire/ip.ts';
import { maxDeviceNameBytes } from './device.ts';

/**
 * What DHCP servers write down: dnsmasq's leases (OpenWRT's /tmp/dhcp.leases, /var/lib/misc on Debian) and odhcpd's state.
 * Names are what devices call themselves. Pure; a line that is not understood is left out.
 */

/** An address that was leased. */
export interface Lease {
  readonly address: string;
  readonly hardwareAddress?: string;
  readonly name?: string;
  /** Of the gateway; odhcpd says it. */
  readonly interface?: string;
  /** ms since 1970; absent: for ever, or not said. */
  readonly untilMs?: number;
}

/** Where DHCP servers keep their leases: OpenWRT's dnsmasq, its odhcpd (24.10, and later), Debian's dnsmasq. */
export const commonLeaseFiles = [
  '/tmp/dhcp.leases',
  '/tmp/hosts/odhcpd',
  '/tmp/odhcpd.leases',
  '/var/lib/misc/dnsmasq.leases',
] as const;

/** Leases in one file that are looked at. */
const maxLeases = 4096;

/** A dnsmasq for machines without a clock writes how long a lease is instead of when it ends. */
const earliestTimeS = 1_000_000_000;

/** Six bytes as `02:00:00:00:00:01`, of what odhcpd writes without colons; undefined for anything else. */
function hardwareAddressOf(text: string): string | undefined {
  const plain = text.toLowerCase();
  const found = /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(plain)
    ? plain
    : /^[0-9a-f]{12}$/.test(plain) && plain.match(/../g)?.join(':');
  return found === false ? undefined : found;
}

function optional(
  text: string,
  hardware: string,
  name: string,
): Pick<Lease, 'hardwareAddress' | 'name'> | undefined {
  const hardwareAddress = text.includes(':') ? undefined : hardwareAddressOf(hardware);
  return {
    ...(hardwareAddress === undefined ? {} : { hardwareAddress }),
    ...(name === '*' || name === '-' ? {} : { name: clipText(name, maxDeviceNameBytes) }),
  };
}

function until(seconds: number): Pick<Lease, 'untilMs'> {
  return seconds < earliestTimeS ? {} : { untilMs: seconds * 1000 };
}

/** `END MAC ADDRESS NAME CLIENT-ID`, and for IPv6 `END IAID ADDRESS NAME CLIENT-ID`. */
function dnsmasqLease(line: string): Lease[] {
  const [, end = '', hardware = '', written = '', name = ''] =
    /^(\d{1,12}) (\S+) (\S+) (\S+) \S+$/.exec(line) ?? [];
  const address = canonicalIp(written);
  return address === undefined
    ? []
    : [{ address, ...optional(address, hardware, name), ...until(Number(end)) }];
}

/** `# INTERFACE MAC ipv4 NAME END ID LENGTH ADDRESS/32`, and for IPv6 `# INTERFACE DUID IAID NAME END ID LENGTH ADDRESS/LENGTH...`. */
function odhcpdLeases(line: string): Lease[] {
  const words = line.split(' ');
  const [, interfaceName = '', hardware = '', , written = '', end = '', , , ...places] = words;
  // An address that was declined, or whose time is over.
  if (!/^-?\d{1,12}$/.test(end) || end === '0') return [];
  const name = written.replace(/^broken\\x20/, '');
  return places.flatMap(place => {
    const [text = '', length] = place.split('/');
    const address = canonicalIp(text);
    // What is shorter is a prefix that was delegated, and no device's address.
    if (address === undefined || length !== (text.includes(':') ? '128' : '32')) return [];
    const said = { ...optional(address, hardware, name), ...until(Number(end)) };
    return [{ address, interface: clipText(interfaceName, 32), ...said }];
  });
}

/** The leases of a file of either server. */
export function parseLeases(text: string): Lease[] {
  return text
    .split('\n')
    .slice(0, maxLeases)
    .flatMap(line => (line.startsWith('# ') ? odhcpdLeases(line) : dnsmasqLease(line)));
}
