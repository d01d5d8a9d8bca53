import { EntremiseError } from '../base/errors.ts';
import { ipFromBytes, ipv4Bytes } from '../wire/ip.ts';

/**
 * Addresses and names that come from outside, in one spelling (P6.8). Resolvers and libraries read `127.1`, `0x7f.1`
 * or `017700000001` as addresses; here they are neither an address nor a name, so no check can be passed in one
 * spelling and a connection made in another.
 */

/** An IP address in its one spelling. Two are the same address exactly when their texts are equal. */
export interface CanonicalAddress {
  readonly family: 4 | 6;
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  /** Dotted IPv4, or RFC 5952 IPv6; then `%` and the zone if there is one. */
  readonly text: string;
  /** Interface of an IPv6 link-local address (RFC 4007 §11); no other address has one. */
  readonly zone: string | undefined;
}

/** What a connection is asked for: an address, or a name that the mediator resolves. */
export type TargetHost =
  | { readonly kind: 'address'; readonly address: CanonicalAddress }
  | { readonly kind: 'name'; readonly name: string };

/** Longest spelling of an IPv6 address with a zone: 45 characters, `%`, an interface name of 15. */
const maxAddressText = 61;

const zonePattern = /^[0-9A-Za-z._-]{1,15}$/;

/** The bytes of groups between colons; the last may be a dotted IPv4 address (RFC 4291 §2.2). */
function parseGroups(text: string, dottedAllowed: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const octets = dottedAllowed && index === groups.length - 1 ? ipv4Bytes(group) : undefined;
    if (octets === undefined) return undefined;
    bytes.push(...octets);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = parseGroups(halves[1] ?? '', true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.of(...head, ...Array<number>(missing).fill(0), ...tail);
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  return (
    bytes.length === 16 && bytes.subarray(0, 12).every((byte, index) => byte === (index < 10 ? 0 : 0xff))
  );
}

function isIpv6LinkLocal(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes;
  const unicast = first === 0xfe && (second & 0xc0) === 0x80;
  const multicast = first === 0xff && ((second & 0x0f) === 1 || (second & 0x0f) === 2);
  return bytes.length === 16 && (unicast || multicast);
}

/**
 * The address with these 4 or 16 bytes. An IPv4-mapped address is the IPv4 address, which is where the kernel connects.
 * @throws EntremiseError `bad-request` for another length, or a zone where none can stand
 */
export function addressFromBytes(bytes: Uint8Array, zone?: string): CanonicalAddress {
  const own = new Uint8Array(isMappedIpv4(bytes) ? bytes.subarray(12) : bytes);
  if (own.length !== 4 && own.length !== 16) {
    throw new EntremiseError('bad-request', { message: `An address has 4 or 16 bytes, not ${own.length}.` });
  }
  if (zone !== undefined && !(zonePattern.test(zone) && isIpv6LinkLocal(own))) {
    throw new EntremiseError('bad-request', {
      message: 'A zone is an interface name and stands behind a link-local IPv6 address only.',
    });
  }
  const text = zone === undefined ? ipFromBytes(own) : `${ipFromBytes(own)}%${zone}`;
  return { family: own.length === 4 ? 4 : 6, bytes: own, text, zone };
}

/**
 * The address that `text` spells, or undefined. Accepts what inet_pton accepts and nothing else: four decimal numbers
 * without leading zeros, or RFC 4291 §2.2 groups; `%zone` behind link-local IPv6 addresses; no brackets, no blanks.
 */
export function parseAddress(text: string): CanonicalAddress | undefined {
  if (text.length > maxAddressText) return undefined;
  const percent = text.indexOf('%');
  const literal = percent === -1 ? text : text.slice(0, percent);
  const zone = percent === -1 ? undefined : text.slice(percent + 1);
  const bytes = literal.includes(':') ? parseIpv6(literal) : ipv4Bytes(literal);
  if (bytes === undefined) return undefined;
  try {
    return addressFromBytes(bytes, zone);
  } catch {
    return undefined;
  }
}

/** Foreign text for an error sentence: quoted, escaped, short. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/**
 * The address that `text` spells.
 * @throws EntremiseError `bad-request` when it is no strict spelling (see {@link parseAddress})
 */
export function canonicalAddress(text: string): CanonicalAddress {
  const address = parseAddress(text);
  if (address !== undefined) return address;
  throw new EntremiseError('bad-request', {
    message: `${quoted(text)} is not an IP address; write it like 192.168.1.10, fd00::10 or fe80::10%br-lan.`,
  });
}

const labelPattern = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** Names that a resolver would read as a number, the way inet_aton does, end like one. */
function endsInNumber(labels: readonly string[]): boolean {
  return /^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '');
}

/**
 * The address or host name that `text` spells. A name comes back in lower case without the closing dot.
 * @throws EntremiseError `bad-request` when it is neither, as are names that end like a number (`127.1`, `0x7f000001`)
 */
export function parseTargetHost(text: string): TargetHost {
  const address = parseAddress(text);
  if (address !== undefined) return { kind: 'address', address };
  const name = text.toLowerCase().replace(/\.$/, '');
  const labels = name.split('.');
  const valid = name.length <= 253 && labels.every(label => labelPattern.test(label));
  if (valid && !endsInNumber(labels)) return { kind: 'name', name };
  throw new EntremiseError('bad-request', {
    message: `${quoted(text)} is neither an IP address nor a host name; write it like 192.168.1.10, fd00::10 or printer.lan.`,
  });
}
