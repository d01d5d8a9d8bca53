import { EntremiseError } from '../../base/errors.ts';
import { type IpText, ipFamilyOf, ipFromBytes, ipToBytes } from '../ip.ts';
import { dataOffsetBytes, maxDatagramBytes } from '../spec.ts';

/** The bodies with fixed layout (P1.9): big-endian, no padding, lengths exact. */

function exactly(name: string, body: Buffer, length: number): void {
  if (body.length !== length) {
    throw new EntremiseError('bad-request', {
      message: `${name} has ${body.length} bytes, ${length} are needed.`,
    });
  }
}

/** Of a u64 that a number holds exactly; two halves are read and written without a BigInt, which is garbage. */
const maxHighHalf = 2 ** 21 - 1;

function readOffset(name: string, body: Buffer, at: number): number {
  const high = body.readUInt32BE(at);
  if (high > maxHighHalf) {
    throw new EntremiseError('bad-request', { message: `${name} has an offset beyond 2^53.` });
  }
  return high * 2 ** 32 + body.readUInt32BE(at + 4);
}

/** Writes a stream offset (u64) at `at`. */
export function writeOffset(into: Buffer, value: number, at: number): void {
  into.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  into.writeUInt32BE(value % 2 ** 32, at + 4);
}

/** DATA: offset u64, then the bytes (P1.4). The hot path writes both straight into its slab instead. */
export function encodeData(offset: number, bytes: Uint8Array): Buffer {
  const body = Buffer.allocUnsafe(dataOffsetBytes + bytes.length);
  writeOffset(body, offset, 0);
  body.set(bytes, dataOffsetBytes);
  return body;
}

/** The fields of a DATA body; `bytes` shares memory with it. */
export function decodeData(body: Buffer): { readonly offset: number; readonly bytes: Buffer } {
  if (body.length <= dataOffsetBytes)
    throw new EntremiseError('bad-request', { message: 'DATA carries no bytes.' });
  return { offset: readOffset('DATA', body, 0), bytes: body.subarray(dataOffsetBytes) };
}

/** FIN: the offset that it occupies (P1.4). */
export function encodeFin(offset: number): Buffer {
  const body = Buffer.allocUnsafe(8);
  writeOffset(body, offset, 0);
  return body;
}

/** The offset that a FIN occupies. */
export function decodeFin(body: Buffer): number {
  exactly('FIN', body, 8);
  return readOffset('FIN', body, 0);
}

/** RESET: one number of the error catalogue (P3.5). */
export function encodeReset(reason: number): Buffer {
  const body = Buffer.allocUnsafe(1);
  body.writeUInt8(reason, 0);
  return body;
}

/** The reason of a RESET, a number of the error catalogue. */
export function decodeReset(body: Buffer): number {
  exactly('RESET', body, 1);
  return body.readUInt8(0);
}

/** The fields of a WINDOW (P3.1). On stream 0 `received` and `limit` count messages (P3.7). */
export interface Window {
  readonly received: number;
  readonly limit: number;
  readonly yields: number;
}

/** WINDOW: received u64, limit u64, yields u32. */
export function encodeWindow(window: Window): Buffer {
  const body = Buffer.allocUnsafe(20);
  writeOffset(body, window.received, 0);
  writeOffset(body, window.limit, 8);
  body.writeUInt32BE(window.yields, 16);
  return body;
}

/** The fields of a WINDOW. */
export function decodeWindow(body: Buffer): Window {
  exactly('WINDOW', body, 20);
  return {
    received: readOffset('WINDOW', body, 0),
    limit: readOffset('WINDOW', body, 8),
    yields: body.readUInt32BE(16),
  };
}

/** The fields of a CREDIT (P2.3): both are totals since the label, or the link, began. */
export interface Credit {
  readonly allowed: number;
  readonly linkReceived: number;
}

/** CREDIT: allowed u64, linkReceived u64. */
export function encodeCredit(credit: Credit): Buffer {
  const body = Buffer.allocUnsafe(16);
  writeOffset(body, credit.allowed, 0);
  writeOffset(body, credit.linkReceived, 8);
  return body;
}

/** The fields of a CREDIT. */
export function decodeCredit(body: Buffer): Credit {
  exactly('CREDIT', body, 16);
  return { allowed: readOffset('CREDIT', body, 0), linkReceived: readOffset('CREDIT', body, 8) };
}

/** YIELD: the sender gives back the window beyond this offset (P3.3). */
export function encodeYield(upTo: number): Buffer {
  return encodeFin(upTo);
}

/** The offset of a YIELD. */
export function decodeYield(body: Buffer): number {
  exactly('YIELD', body, 8);
  return readOffset('YIELD', body, 0);
}

/** One datagram (S12, S13, P5.9). Towards the mediator the peer is its destination, from it its source. */
export interface Datagram {
  readonly port: number;
  readonly peerAddress: IpText;
  readonly peerNumber: number;
  /** The gateway's address it came to or leaves from, when the port is bound to a wildcard. */
  readonly localAddress?: IpText;
  readonly bytes: Buffer;
}

const hasLocalAddress = 0x10;
const datagramHeadBytes = 7;

/**
 * The body of a DATAGRAM, before it is cut into parts: port u32, shape u8 (family 4 or 6; 0x10: local address), number
 * u16, peer, [local], bytes.
 * @throws EntremiseError `frame-too-large` for more bytes than a datagram has, `bad-request` for addresses that are none
 * or of two families
 */
export function encodeDatagram(datagram: Datagram): Buffer {
  const { peerAddress, localAddress } = datagram;
  if (datagram.bytes.length > maxDatagramBytes) {
    throw new EntremiseError('frame-too-large', {
      message: `A datagram of ${datagram.bytes.length} bytes cannot be sent, ${maxDatagramBytes} are allowed.`,
    });
  }
  const family = ipFamilyOf(peerAddress);
  if (localAddress !== undefined && ipFamilyOf(localAddress) !== family)
    throw new EntremiseError('bad-request', { message: 'DATAGRAM has addresses of two families.' });
  const head = Buffer.allocUnsafe(datagramHeadBytes);
  head.writeUInt32BE(datagram.port, 0);
  head.writeUInt8(family | (localAddress === undefined ? 0 : hasLocalAddress), 4);
  head.writeUInt16BE(datagram.peerNumber, 5);
  const local = localAddress === undefined ? [] : [ipToBytes(localAddress)];
  return Buffer.concat([head, ipToBytes(peerAddress), ...local, datagram.bytes]);
}

/**
 * A mark among the DATAGRAMs of a port: those that follow go another way, or come from one (P7.7). Seven bytes: port u32,
 * zeros.
 */
export interface DatagramMark {
  readonly port: number;
  readonly mark: true;
}

/** The body of a DATAGRAM, or of a mark. @throws EntremiseError as {@link encodeDatagram} */
export function encodeDatagramBody(value: Datagram | DatagramMark): Buffer {
  if (!('mark' in value)) return encodeDatagram(value);
  const body = Buffer.alloc(datagramHeadBytes);
  body.writeUInt32BE(value.port, 0);
  return body;
}

/** What a whole DATAGRAM body says. @throws EntremiseError `bad-request` */
export function decodeDatagramBody(body: Buffer): Datagram | DatagramMark {
  const isMark = body.length === datagramHeadBytes && body.subarray(4).every(byte => byte === 0);
  return isMark ? { port: body.readUInt32BE(0), mark: true } : decodeDatagram(body);
}

function addressBytes(shape: number): 4 | 16 {
  const family = shape & ~hasLocalAddress;
  if (family === 4) return 4;
  if (family === 6) return 16;
  throw new EntremiseError('bad-request', { message: 'DATAGRAM has an unknown shape.' });
}

/** The fields of a whole DATAGRAM body; `bytes` shares memory with it. */
export function decodeDatagram(body: Buffer): Datagram {
  const tooShort = () =>
    new EntremiseError('bad-request', { message: 'DATAGRAM is shorter than its header.' });
  if (body.length < datagramHeadBytes) throw tooShort();
  const shape = body.readUInt8(4);
  const localAt = datagramHeadBytes + addressBytes(shape);
  const local = (shape & hasLocalAddress) !== 0;
  const bytesAt = local ? localAt + addressBytes(shape) : localAt;
  if (body.length < bytesAt) throw tooShort();
  if (body.length - bytesAt > maxDatagramBytes)
    throw new EntremiseError('bad-request', { message: 'DATAGRAM carries more than a datagram can.' });
  return {
    port: body.readUInt32BE(0),
    peerAddress: ipFromBytes(body.subarray(datagramHeadBytes, localAt)),
    peerNumber: body.readUInt16BE(5),
    ...(local ? { localAddress: ipFromBytes(body.subarray(localAt, bytesAt)) } : {}),
    bytes: body.subarray(bytesAt),
  };
}
