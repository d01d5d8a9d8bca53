import { ipToBytes } from '../../../src/wire/ip.ts';

/**
 * Handmade packets: as much of their headers as a capture looks at. The checksum of IPv4 is there, since a bridge may look
 * at it; that of TCP is not.
 */

/** Flags of TCP (RFC 9293 §3.1). */
export const flag = { fin: 1, syn: 2, rst: 4, push: 8, ack: 16 } as const;

/** IP protocol numbers. */
export const next = {
  hopByHop: 0,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  authentication: 51,
  options: 60,
} as const;

function u16(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 2);
  for (const [index, number] of numbers.entries()) bytes.writeUInt16BE(number, index * 2);
  return bytes;
}

/** A TCP header with nothing behind it. */
export function tcp(from: number, to: number, flags: number): Buffer {
  const header = Buffer.alloc(20);
  u16(from, to).copy(header);
  header.writeUInt32BE(from * 1000, 4);
  header.writeUInt8(0x50, 12);
  header.writeUInt8(flags, 13);
  return header;
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) sum += bytes.readUInt16BE(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** What may be otherwise about an IPv4 packet. */
export interface Ipv4Options {
  readonly protocol?: number;
  /** Words of options, 0 to 10. */
  readonly optionWords?: number;
  /** Flags and offset as they stand in the header. */
  readonly fragment?: number;
}

/** An IPv4 packet. */
export function ipv4(from: string, to: string, payload: Buffer, options: Ipv4Options = {}): Buffer {
  const { protocol = next.tcp, optionWords = 0, fragment = 0 } = options;
  const header = Buffer.alloc(20 + optionWords * 4, 1);
  header.writeUInt8(0x45 + optionWords, 0);
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(fragment, 6);
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  header.set(ipToBytes(from), 12);
  header.set(ipToBytes(to), 16);
  header.writeUInt16BE(0, 10);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** An IPv6 packet; `first` is the number of what `payload` begins with. */
export function ipv6(from: string, to: string, payload: Buffer, first: number = next.tcp): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(payload.length, 4);
  header.writeUInt8(first, 6);
  header.writeUInt8(64, 7);
  return Buffer.concat([header, ipToBytes(from), ipToBytes(to), payload]);
}

/** An extension header of `eights` times 8 bytes in front of `payload`, which is a `following`. */
export function extension(following: number, payload: Buffer, eights = 1): Buffer {
  const header = Buffer.alloc(eights * 8, 1);
  header.writeUInt8(following, 0);
  header.writeUInt8(eights - 1, 1);
  return Buffer.concat([header, payload]);
}

/** A fragment header (RFC 8200 §4.5) of a fragment at `offset` units of 8 bytes, more to follow. */
export function fragment(following: number, payload: Buffer, offset = 0): Buffer {
  return Buffer.concat([Buffer.from([following, 0]), u16((offset << 3) | 1, 0, 7), payload]);
}

/** An authentication header (RFC 4302) of `words` words. */
export function authentication(following: number, payload: Buffer, words = 6): Buffer {
  const header = Buffer.alloc(words * 4, 1);
  header.writeUInt8(following, 0);
  header.writeUInt8(words - 2, 1);
  return Buffer.concat([header, payload]);
}

/** A frame to a hardware address, with VLAN tags outermost first. */
export function frame(to: string, packet: Buffer, tags: readonly number[] = []): Buffer {
  const hardware = (text: string) => Buffer.from(text.replaceAll(':', ''), 'hex');
  const inner = (packet.readUInt8(0) & 0xf0) === 0x60 ? 0x86dd : 0x0800;
  const padding = Buffer.alloc(Math.max(0, 46 - packet.length));
  const types = u16(...tags.flatMap(tag => [0x8100, tag]), inner);
  return Buffer.concat([hardware(to), hardware('02:00:00:00:00:99'), types, packet, padding]);
}
