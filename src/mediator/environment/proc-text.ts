import { canonicalIp, ipFromBytes } from '../../wire/ip.ts';

/**
 * Readers of what Linux tells in /proc as text. Pure; a line that is not understood is left out, because a newer kernel
 * may say more than this knows.
 */

/** A route as the kernel lists it. */
export interface RouteLine {
  readonly destination: string;
  readonly prefixLength: number;
  /** Absent for networks that are directly attached. */
  readonly gateway?: string;
  readonly interface: string;
}

/** An address and its prefix length on an interface. */
export interface AddressLine {
  readonly interface: string;
  readonly address: string;
  readonly prefixLength: number;
}

const flagUp = 0x1;
const flagGateway = 0x2;
const flagReject = 0x200;
const flagCache = 0x0100_0000;
const flagLocal = 0x8000_0000;

function rows(text: string): string[][] {
  return text.split('\n').map(line => line.trim().split(/\s+/));
}

/** /proc/net/route writes addresses as the machine's own 32-bit numbers, so their digits depend on its byte order. */
function ipv4FromHex(hex: string, endianness: 'LE' | 'BE'): string {
  const bytes = Buffer.from(hex.padStart(8, '0'), 'hex');
  return ipFromBytes(endianness === 'LE' ? bytes.reverse() : bytes);
}

function onesIn(address: string): number {
  return address.split('.').reduce((sum, octet) => sum + popCount(Number(octet)), 0);
}

function popCount(octet: number): number {
  return octet === 0 ? 0 : (octet & 1) + popCount(octet >> 1);
}

/** The IPv4 routes of /proc/net/route. */
export function parseIpv4Routes(text: string, endianness: 'LE' | 'BE'): RouteLine[] {
  return rows(text).flatMap(([name = '', destination = '', gateway = '', flagText = '', , , , mask = '']) => {
    const flags = Number.parseInt(flagText, 16);
    const isHex = [destination, gateway, mask].every(part => /^[0-9A-Fa-f]{8}$/.test(part));
    if (!isHex || (flags & flagUp) === 0 || (flags & flagReject) !== 0) return [];
    const through = (flags & flagGateway) === 0 ? {} : { gateway: ipv4FromHex(gateway, endianness) };
    return [
      {
        destination: ipv4FromHex(destination, endianness),
        prefixLength: onesIn(ipv4FromHex(mask, endianness)),
        ...through,
        interface: name,
      },
    ];
  });
}

function ipv6FromHex(hex: string): string {
  return ipFromBytes(Buffer.from(hex, 'hex'));
}

const isHex32 = (text: string) => /^[0-9a-f]{32}$/i.test(text);

/** The IPv6 routes of /proc/net/ipv6_route: without the kernel's own entries for local and multicast addresses. */
export function parseIpv6Routes(text: string): RouteLine[] {
  return rows(text).flatMap(row => {
    const [destination = '', length = '', , , nextHop = '', , , , flagText = '', name = ''] = row;
    const flags = Number.parseInt(flagText, 16);
    if (!isHex32(destination) || !isHex32(nextHop) || (flags & flagUp) === 0) return [];
    const isOwn = (flags & (flagReject | flagCache)) !== 0 || flags >= flagLocal;
    if (isOwn || /^ff/i.test(destination)) return [];
    const through = (flags & flagGateway) === 0 ? {} : { gateway: ipv6FromHex(nextHop) };
    const prefixLength = Number.parseInt(length, 16);
    return [{ destination: ipv6FromHex(destination), prefixLength, ...through, interface: name }];
  });
}

/** Global unicast (RFC 4291 §2.4): 2000::/3. */
const isGlobal = (hex: string) => /^[23]/.test(hex);

/**
 * IPv6 prefixes that were delegated to the machine: whoever gets one (RFC 7084 §4.3, WPD-5) has what is not given to a LAN
 * refused by a route of its own.
 */
export function parseDelegatedPrefixes(text: string): { address: string; prefixLength: number }[] {
  const found = rows(text).flatMap(([destination = '', length = '', , , , , , , flagText = '']) => {
    const prefixLength = Number.parseInt(length, 16);
    const isRefused = (Number.parseInt(flagText, 16) & flagReject) !== 0;
    const isPrefix =
      isHex32(destination) && isGlobal(destination) && prefixLength >= 16 && prefixLength <= 64;
    return isRefused && isPrefix ? [{ address: ipv6FromHex(destination), prefixLength }] : [];
  });
  return [...new Map(found.map(each => [`${each.address}/${each.prefixLength}`, each])).values()];
}

/** The IPv6 addresses of /proc/net/if_inet6, also those of interfaces without carrier. */
export function parseIpv6Addresses(text: string): AddressLine[] {
  return rows(text).flatMap(([hex = '', , length = '', , , name]) => {
    if (!isHex32(hex) || name === undefined) return [];
    return [{ interface: name, address: ipv6FromHex(hex), prefixLength: Number.parseInt(length, 16) }];
  });
}

/** Every IPv4 address that the machine answers for, from /proc/net/fib_trie, whatever the state of its interface. */
export function parseLocalIpv4(text: string): string[] {
  const found = new Set<string>();
  let leaf: string | undefined;
  for (const line of text.split('\n')) {
    leaf = /^\s*\|-- (\S+)/.exec(line)?.[1] ?? leaf;
    if (!/^\s*\/32 host LOCAL/.test(line) || leaf === undefined) continue;
    const address = canonicalIp(leaf);
    if (address !== undefined) found.add(address);
  }
  return [...found];
}

/** The names of all interfaces, from /proc/net/dev. */
export function parseInterfaceNames(text: string): string[] {
  return text.split('\n').flatMap(line => /^\s*([^\s:|]+):/.exec(line)?.[1] ?? []);
}

/** The value of `key` in a file of shell assignments such as /etc/os-release. */
export function parseAssignment(text: string, key: string): string | undefined {
  const line = text.split('\n').find(one => one.startsWith(`${key}=`));
  const value = line?.slice(key.length + 1).trim();
  const quoted = value === undefined ? null : /^(["'])(.*)\1$/.exec(value);
  const plain = quoted?.[2] ?? value;
  return plain === undefined || plain === '' ? undefined : plain;
}

/** The 16 bytes of a UUID, as /proc/sys/kernel/random/boot_id has it; undefined when it is none. */
export function parseUuid(text: string): Buffer | undefined {
  const hex = text.trim().replaceAll('-', '');
  return isHex32(hex) ? Buffer.from(hex, 'hex') : undefined;
}
