import { EntremiseError } from '../base/errors.ts';
import { type IpText, ipFamilyOf, ipFromBytes, ipToBytes } from './ip.ts';

/**
 * Packets of UDP channels (P7.2): the header in the clear, and what stands sealed behind it. Keys and tags are the
 * session's; the native relay speaks the same bytes, held by the same vectors.
 */

/** The version of packets spoken here. */
export const packetVersion = 1;

/** kind u8, epoch u8, version u8, zero u8, cid u32, counter u64 (P7.2). */
export const packetHeaderBytes = 16;

/** Length of the tag that closes a packet (P7.2). */
export const packetTagBytes = 16;

/** How long a PROBE is as a whole, so that nothing the server answers is longer (P7.1). */
export const probeBytes = 1200;

/** Packets that one key may seal (P7.3). */
export const maxPacketsPerKey = 2 ** 30;

/** The longest silence that an ECHO-AFTER may ask for (P8.3). */
export const maxEchoAfterMs = 600_000;

/** Kinds of packets (P7.2). */
export const packetKind = {
  datagram: 0x01,
  part: 0x02,
  probe: 0x03,
  challenge: 0x04,
  answer: 0x05,
  keepalive: 0x06,
  alive: 0x07,
  'echo-after': 0x08,
  echo: 0x09,
  size: 0x0a,
  sized: 0x0b,
  bundle: 0x0c,
} as const;

/** Name of a kind of packet. */
export type PacketKindName = keyof typeof packetKind;

/** Names of kinds by their numbers. */
export const kindOfNumber: ReadonlyMap<number, PacketKindName> = new Map(
  (Object.keys(packetKind) as PacketKindName[]).map(name => [packetKind[name], name]),
);

/** The header of a packet. */
export interface PacketHeader {
  readonly kind: PacketKindName;
  readonly epoch: number;
  readonly cid: number;
  readonly counter: number;
}

/** The 16 bytes of a header, which are also the additional data of the seal (P7.2). */
export function encodePacketHeader({ kind, epoch, cid, counter }: PacketHeader): Buffer {
  const bytes = Buffer.alloc(packetHeaderBytes);
  bytes.writeUInt8(packetKind[kind], 0);
  bytes.writeUInt8(epoch, 1);
  bytes.writeUInt8(packetVersion, 2);
  bytes.writeUInt32BE(cid, 4);
  bytes.writeUInt32BE(counter, 12);
  return bytes;
}

/** The header of a packet from the network, or undefined for what is none of this version: nobody answers that. */
export function decodePacketHeader(packet: Buffer): PacketHeader | undefined {
  if (packet.length < packetHeaderBytes + packetTagBytes) return undefined;
  const kind = kindOfNumber.get(packet.readUInt8(0));
  if (kind === undefined || packet.readUInt8(2) !== packetVersion || packet.readUInt8(3) !== 0)
    return undefined;
  const counter = packet.readUInt32BE(12);
  if (packet.readUInt32BE(8) !== 0 || counter >= maxPacketsPerKey) return undefined;
  return { kind, epoch: packet.readUInt8(1), cid: packet.readUInt32BE(4), counter };
}

/** An address and a number, as they stand in packets: family u8 (4 or 6), address, number u16. */
export interface PacketPeer {
  readonly address: IpText;
  readonly number: number;
}

/** A datagram's body as it stands in a packet. */
export interface DatagramBody {
  readonly kind: 'datagram';
  readonly route: number;
  readonly peer: PacketPeer;
  readonly bytes: Buffer;
}

/** What stands sealed in a packet, by its kind (P7.2). */
export type PacketBody =
  | DatagramBody
  /** Two or more that share a packet. */
  | { readonly kind: 'bundle'; readonly datagrams: readonly DatagramBody[] }
  /** Half of the body of a datagram that is too long for the path; `index` 0 is the first (P7.5). */
  | { readonly kind: 'part'; readonly id: number; readonly index: 0 | 1; readonly bytes: Buffer }
  | { readonly kind: 'probe' }
  | { readonly kind: 'challenge' | 'answer'; readonly token: Buffer }
  | { readonly kind: 'keepalive'; readonly id: number }
  /** `peer` is where the KEEPALIVE came from. */
  | { readonly kind: 'alive'; readonly id: number; readonly peer: PacketPeer }
  | { readonly kind: 'echo-after'; readonly id: number; readonly afterMs: number }
  | { readonly kind: 'echo'; readonly id: number }
  /** `packetBytes` is what the whole packet has, header and tag included. */
  | { readonly kind: 'size' | 'sized'; readonly id: number; readonly packetBytes: number };

/** A body that is no datagram: whoever has the channel makes and answers it. */
export type ControlBody = Exclude<PacketBody, { readonly kind: 'datagram' | 'part' | 'bundle' }>;

/** True for what is not a datagram, half of one, or several. */
export function isControlBody(body: PacketBody): body is ControlBody {
  return body.kind !== 'datagram' && body.kind !== 'part' && body.kind !== 'bundle';
}

/** Length of the token of CHALLENGE and ANSWER. */
export const tokenBytes = 16;

/** KEEPALIVE is filled up to the longest ALIVE, so that the answer is never longer (P7.2). */
const aliveBytes = 23;

/** Everything of a packet that is not its body. */
export const packetOverheadBytes = packetHeaderBytes + packetTagBytes;

/**
 * A peer as it stands in packets: family u8, address, number u16.
 * @throws EntremiseError `bad-request` for an address that is none
 */
export function encodePeer({ address, number }: PacketPeer): Buffer {
  const bytes = ipToBytes(address);
  const end = Buffer.allocUnsafe(2);
  end.writeUInt16BE(number);
  return Buffer.concat([Buffer.of(ipFamilyOf(address)), bytes, end]);
}

/** `numbers` as u32 each, filled with zeros up to `length`. */
function words(numbers: readonly number[], length = numbers.length * 4): Buffer {
  const bytes = Buffer.alloc(length);
  for (const [index, number] of numbers.entries()) bytes.writeUInt32BE(number, index * 4);
  return bytes;
}

function encodeBundled(datagram: DatagramBody): readonly Buffer[] {
  const bytes = encodePacketBody(datagram);
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(bytes.length);
  return [length, bytes];
}

/**
 * The bytes of a body, before they are sealed.
 * @throws EntremiseError `bad-request` for an address that is none
 */
export function encodePacketBody(body: PacketBody): Buffer {
  switch (body.kind) {
    case 'datagram':
      return Buffer.concat([words([body.route]), encodePeer(body.peer), body.bytes]);
    case 'bundle':
      return Buffer.concat(body.datagrams.flatMap(encodeBundled));
    case 'part':
      return Buffer.concat([words([body.id]), Buffer.of(body.index), body.bytes]);
    case 'probe':
      return Buffer.alloc(probeBytes - packetOverheadBytes);
    case 'challenge':
    case 'answer':
      return Buffer.from(body.token);
    case 'keepalive':
      return words([body.id], aliveBytes);
    case 'alive':
      return Buffer.concat([words([body.id]), encodePeer(body.peer)]);
    case 'echo-after':
      return words([body.id, body.afterMs]);
    case 'echo':
      return words([body.id]);
    case 'size':
      return words([body.id], body.packetBytes - packetOverheadBytes);
    case 'sized':
      return words([body.id, body.packetBytes]);
  }
}

function malformed(kind: PacketKindName): EntremiseError {
  return new EntremiseError('bad-request', { message: `The body of a ${kind} packet is malformed.` });
}

function exactly(kind: PacketKindName, body: Buffer, length: number): void {
  if (body.length !== length) throw malformed(kind);
}

function onlyZeros(kind: PacketKindName, filler: Buffer): void {
  if (filler.some(byte => byte !== 0)) throw malformed(kind);
}

/** A peer in front of other bytes; what is behind it begins at `end`. Undefined when there is none. */
export function decodePeer(
  bytes: Buffer,
  at: number,
): { readonly peer: PacketPeer; readonly end: number } | undefined {
  const family = bytes[at];
  if (family !== 4 && family !== 6) return undefined;
  const numberAt = at + 1 + (family === 4 ? 4 : 16);
  if (bytes.length < numberAt + 2) return undefined;
  const address = ipFromBytes(bytes.subarray(at + 1, numberAt));
  return { peer: { address, number: bytes.readUInt16BE(numberAt) }, end: numberAt + 2 };
}

function readPeer(kind: PacketKindName, body: Buffer, at: number) {
  const read = decodePeer(body, at);
  if (read === undefined) throw malformed(kind);
  return read;
}

function decodeDatagram(body: Buffer): DatagramBody {
  if (body.length < 4) throw malformed('datagram');
  const { peer, end } = readPeer('datagram', body, 4);
  return { kind: 'datagram', route: body.readUInt32BE(0), peer, bytes: body.subarray(end) };
}

function decodeBundle(body: Buffer): PacketBody {
  if (body.length > probeBytes - packetOverheadBytes) throw malformed('bundle');
  const datagrams: DatagramBody[] = [];
  for (let at = 0; at < body.length; ) {
    const begin = at + 2;
    const end = begin <= body.length ? begin + body.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    if (end > body.length) throw malformed('bundle');
    datagrams.push(decodeDatagram(body.subarray(begin, end)));
    at = end;
  }
  if (datagrams.length < 2) throw malformed('bundle');
  return { kind: 'bundle', datagrams };
}

function decodePart(body: Buffer): PacketBody {
  const index = body[4];
  if (body.length < 6 || (index !== 0 && index !== 1)) throw malformed('part');
  return { kind: 'part', id: body.readUInt32BE(0), index, bytes: body.subarray(5) };
}

function decodeAlive(body: Buffer): PacketBody {
  if (body.length < 4) throw malformed('alive');
  const { peer, end } = readPeer('alive', body, 4);
  exactly('alive', body, end);
  return { kind: 'alive', id: body.readUInt32BE(0), peer };
}

function decodeSize(kind: 'size' | 'sized', body: Buffer): PacketBody {
  if (body.length < 4) throw malformed(kind);
  const id = body.readUInt32BE(0);
  if (kind === 'size') {
    onlyZeros(kind, body.subarray(4));
    return { kind, id, packetBytes: body.length + packetOverheadBytes };
  }
  exactly(kind, body, 8);
  return { kind, id, packetBytes: body.readUInt32BE(4) };
}

/**
 * The fields of an opened body; byte strings share memory with it.
 * @throws EntremiseError `bad-request` when it is not laid out as P7.2 says
 */
export function decodePacketBody(kind: PacketKindName, body: Buffer): PacketBody {
  switch (kind) {
    case 'datagram':
      return decodeDatagram(body);
    case 'bundle':
      return decodeBundle(body);
    case 'part':
      return decodePart(body);
    case 'probe':
      exactly(kind, body, probeBytes - packetOverheadBytes);
      onlyZeros(kind, body);
      return { kind };
    case 'challenge':
    case 'answer':
      exactly(kind, body, tokenBytes);
      return { kind, token: body };
    case 'keepalive':
      exactly(kind, body, aliveBytes);
      onlyZeros(kind, body.subarray(4));
      return { kind, id: body.readUInt32BE(0) };
    case 'alive':
      return decodeAlive(body);
    case 'echo-after':
      exactly(kind, body, 8);
      return { kind, id: body.readUInt32BE(0), afterMs: body.readUInt32BE(4) };
    case 'echo':
      exactly(kind, body, 4);
      return { kind, id: body.readUInt32BE(0) };
    case 'size':
    case 'sized':
      return decodeSize(kind, body);
  }
}
