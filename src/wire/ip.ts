import ipaddr from 'ipaddr.js';

/** An IP address in the only spelling used inside the product: dotted IPv4, or RFC 5952 IPv6 without zone. */
export type IpText = string;

/** The 4 or 16 bytes of an address in canonical spelling. */
export function ipToBytes(address: IpText): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

/** The canonical spelling of 4 or 16 bytes. */
export function ipFromBytes(bytes: Uint8Array): IpText {
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** 4 or 6. */
export function ipFamilyOf(address: IpText): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
