import ipaddr from 'ipaddr.js';
import { EntremiseError } from '../base/errors.ts';

/** An IP address in the only spelling used inside the product: dotted IPv4, or RFC 5952 IPv6 in hexadecimal without zone. */
export type IpText = string;

const dottedNumber = /^(0|[1-9][0-9]{0,2})$/;

/** The four bytes of a dotted IPv4 address; other spellings that some parsers take (`127.1`, `010.0.0.1`) are none. */
function ipv4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => dottedNumber.test(part) && Number(part) <= 255))
    return undefined;
  return Uint8Array.from(parts, Number);
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
  return bytes.length === 4 ? bytes.join('.') : ipaddr.fromByteArray([...bytes]).toString();
}

/** 4 or 6. */
export function ipFamilyOf(address: IpText): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
