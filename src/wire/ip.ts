import ipaddr from 'ipaddr.js';
import { EntremiseError } from '../base/errors.ts';

/** An IP address in the only spelling used inside the product: dotted IPv4, or RFC 5952 IPv6 in hexadecimal without zone. */
export type IpText = string;

const zero = 0x30;

/** The decimal number from `start` to `end`: up to 255, digits only, no zero in front; undefined for anything else. */
function octetOf(text: string, start: number, end: number): number | undefined {
  const length = end - start;
  if (length < 1 || length > 3 || (length > 1 && text.charCodeAt(start) === zero)) return undefined;
  let octet = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - zero;
    if (digit < 0 || digit > 9) return undefined;
    octet = 10 * octet + digit;
  }
  return octet <= 255 ? octet : undefined;
}

/**
 * The four bytes of a dotted IPv4 address, or undefined; other spellings that some parsers take (`127.1`, `010.0.0.1`) are
 * none. Read by hand, because every connection's addresses come through here several times.
 */
export function ipv4Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let start = 0;
  for (let index = 0; index < 4; index++) {
    const next = index < 3 ? text.indexOf('.', start) : text.length;
    const octet = next < 0 ? undefined : octetOf(text, start, next);
    if (octet === undefined) return undefined;
    bytes[index] = octet;
    start = next + 1;
  }
  return bytes;
}

/** The sixteen bytes of an IPv6 address in any spelling of RFC 4291 §2.2. */
function ipv6Bytes(text: string): Uint8Array | undefined {
  const tail = text.slice(text.lastIndexOf(':') + 1);
  if (tail.includes('.') && ipv4Bytes(tail) === undefined) return undefined;
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  return Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray());
}

/** `text` in canonical spelling, or undefined when it is no IP address; one with a zone is none. */
export function canonicalIp(text: string): IpText | undefined {
  const bytes = ipv4Bytes(text) ?? ipv6Bytes(text);
  return bytes === undefined ? undefined : ipFromBytes(bytes);
}

/**
 * The 4 or 16 bytes of an address in canonical spelling.
 * @throws EntremiseError `bad-request` for anything else
 */
export function ipToBytes(address: IpText): Uint8Array {
  const bytes = ipv4Bytes(address) ?? ipv6Bytes(address);
  if (bytes === undefined || (bytes.length === 16 && ipFromBytes(bytes) !== address)) {
    throw new EntremiseError('bad-request', {
      message: `${JSON.stringify(address)} is not an IP address in canonical spelling.`,
    });
  }
  return bytes;
}

/** The canonical spelling of 4 or 16 bytes. */
export function ipFromBytes(bytes: Uint8Array): IpText {
  const [first, second, third, fourth] = bytes;
  if (bytes.length === 4) return `${first}.${second}.${third}.${fourth}`;
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** 4 or 6. */
export function ipFamilyOf(address: IpText): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
