/**
 * What an enclosed command's kernel sends and is sent, as far as it must be understood: SYNs and UDP datagrams, over IPv4
 * (RFC 791) without options that matter and IPv6 (RFC 8200) without extension headers.
 */
import { type IpText, ipFromBytes, ipToBytes } from '../../wire/ip.ts';

/** From where to where a packet goes. */
export interface PacketEnds {
  readonly source: IpText;
  readonly sourcePort: number;
  readonly target: IpText;
  readonly targetPort: number;
}

/** A packet that begins a connection, or is a datagram. */
export type Beginning =
  | { readonly kind: 'syn'; readonly ends: PacketEnds }
  | { readonly kind: 'datagram'; readonly ends: PacketEnds; readonly payload: Buffer };

const tcp = 6;
const udp = 17;
const ipv4HeaderBytes = 20;
const ipv6HeaderBytes = 40;
const udpHeaderBytes = 8;
const shortestTcpBytes = 20;
const hopLimit = 64;

/** Where the parts of an IP packet lie. */
interface Layout {
  readonly protocol: number;
  readonly source: Buffer;
  readonly target: Buffer;
  /** Behind the IP header, up to the length that it tells. */
  readonly body: Buffer;
}

function layoutOf(packet: Buffer): Layout | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet.length >= ipv4HeaderBytes) return ipv4Layout(packet);
  if (version === 6 && packet.length >= ipv6HeaderBytes) return ipv6Layout(packet);
  return undefined;
}

function ipv4Layout(packet: Buffer): Layout | undefined {
  const headerBytes = ((packet[0] ?? 0) & 0xf) * 4;
  const end = packet.readUInt16BE(2);
  const isFragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (isFragment || headerBytes < ipv4HeaderBytes || end < headerBytes || end > packet.length)
    return undefined;
  return {
    protocol: packet[9] ?? 0,
    source: packet.subarray(12, 16),
    target: packet.subarray(16, 20),
    body: packet.subarray(headerBytes, end),
  };
}

function ipv6Layout(packet: Buffer): Layout | undefined {
  const end = ipv6HeaderBytes + packet.readUInt16BE(4);
  if (end > packet.length) return undefined;
  return {
    protocol: packet[6] ?? 0,
    source: packet.subarray(8, 24),
    target: packet.subarray(24, 40),
    body: packet.subarray(ipv6HeaderBytes, end),
  };
}

/** Reads a packet; undefined for what is neither a SYN nor a datagram, or is malformed. */
export function readBeginning(packet: Buffer): Beginning | undefined {
  const layout = layoutOf(packet);
  if (layout === undefined || layout.body.length < udpHeaderBytes) return undefined;
  const { protocol, body } = layout;
  const ends = {
    source: ipFromBytes(layout.source),
    sourcePort: body.readUInt16BE(0),
    target: ipFromBytes(layout.target),
    targetPort: body.readUInt16BE(2),
  };
  if (protocol === tcp && body.length >= shortestTcpBytes) return { kind: 'syn', ends };
  if (protocol !== udp) return undefined;
  // Segments in one packet may be longer together than the header can say: the packet's own length counts.
  return { kind: 'datagram', ends, payload: body.subarray(udpHeaderBytes) };
}

/** The sum of RFC 1071 over pieces that all but the last have an even length. */
function internetChecksum(pieces: readonly Uint8Array[]): number {
  let sum = 0;
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += 2) sum += ((piece[at] ?? 0) << 8) | (piece[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

function bodyChecksum(source: Uint8Array, target: Uint8Array, protocol: number, body: Uint8Array): number {
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(body.length, 0);
  pseudo[7] = protocol;
  return internetChecksum([source, target, pseudo, body]);
}

const tcpChecksumAt = 16;

/**
 * A copy of a SYN with its checksum: what a kernel sends to itself has none.
 * @throws RangeError when it is none
 */
export function withTcpChecksum(packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  const layout = layoutOf(copy);
  if (layout === undefined || layout.body.length < shortestTcpBytes) throw new RangeError('no TCP segment');
  layout.body.writeUInt16BE(0, tcpChecksumAt);
  const { source, target, body } = layout;
  body.writeUInt16BE(bodyChecksum(source, target, tcp, body), tcpChecksumAt);
  return copy;
}

function ipv4Header(source: Uint8Array, target: Uint8Array, bodyBytes: number): Buffer {
  const header = Buffer.alloc(ipv4HeaderBytes);
  header[0] = 0x45;
  header.writeUInt16BE(ipv4HeaderBytes + bodyBytes, 2);
  header[8] = hopLimit;
  header[9] = udp;
  header.set(source, 12);
  header.set(target, 16);
  header.writeUInt16BE(internetChecksum([header]), 10);
  return header;
}

function ipv6Header(source: Uint8Array, target: Uint8Array, bodyBytes: number): Buffer {
  const header = Buffer.alloc(ipv6HeaderBytes);
  header[0] = 0x60;
  header.writeUInt16BE(bodyBytes, 4);
  header[6] = udp;
  header[7] = hopLimit;
  header.set(source, 8);
  header.set(target, 24);
  return header;
}

/** A UDP datagram as a whole packet; both ends are of one family, and the payload has at most 65,507 bytes. */
export function datagramPacket(ends: PacketEnds, payload: Uint8Array): Buffer {
  const [source, target] = [ipToBytes(ends.source), ipToBytes(ends.target)];
  const body = Buffer.alloc(udpHeaderBytes + payload.length);
  body.writeUInt16BE(ends.sourcePort, 0);
  body.writeUInt16BE(ends.targetPort, 2);
  body.writeUInt16BE(body.length, 4);
  body.set(payload, udpHeaderBytes);
  // 0 would say that there is none (RFC 768).
  body.writeUInt16BE(bodyChecksum(source, target, udp, body) || 0xffff, 6);
  const header = source.length === 4 ? ipv4Header : ipv6Header;
  return Buffer.concat([header(source, target, body.length), body]);
}

/** The datagrams of one whose payload stands for many of `segmentBytes` each, the last perhaps shorter. */
export function segmentsOf(payload: Buffer, segmentBytes: number): Buffer[] {
  if (segmentBytes === 0 || payload.length <= segmentBytes) return [payload];
  const count = Math.ceil(payload.length / segmentBytes);
  return Array.from({ length: count }, (_, index) =>
    payload.subarray(index * segmentBytes, (index + 1) * segmentBytes),
  );
}

/** True for what never leaves a machine (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). */
export function isLoopback(address: IpText): boolean {
  return address === '::1' || address.startsWith('127.');
}
