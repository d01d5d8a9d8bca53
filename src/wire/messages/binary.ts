import { EntremiseError } from '../../base/errors.ts';
import { type IpText, ipFamilyOf, ipFromBytes, ipToBytes } from '../ip.ts';

/** The bodies with fixed layout (docs/protocol.md §4): big-endian, no padding, lengths exact. */

function exactly(name: string, body: Buffer, length: number): void {
  if (body.length !== length) {
    throw new EntremiseError('bad-request', {
      message: `${name} has ${body.length} bytes, ${length} are needed.`,
    });
  }
}

function readOffset(name: string, body: Buffer, at: number): number {
  const value = body.readBigUInt64BE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new EntremiseError('bad-request', { message: `${name} has an offset beyond 2^53.` });
  }
  return Number(value);
}

/** Writes a stream offset (u64) at `at`. */
export function writeOffset(into: Buffer, value: number, at: number): void {
  into.writeBigUInt64BE(BigInt(value), at);
}

/** DATA: offset u64, then the bytes (P1.4). The view shares memory with `body`. */
export function decodeData(body: Buffer): { readonly offset: number; readonly bytes: Buffer } {
  if (body.length <= 8) throw new EntremiseError('bad-request', { message: 'DATA carries no bytes.' });
  return { offset: readOffset('DATA', body, 0), bytes: body.subarray(8) };
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
  return Buffer.from([reason]);
}

/** The reason of a RESET, a number of the error catalogue. */
export function decodeReset(body: Buffer): number {
  exactly('RESET', body, 1);
  return body.readUInt8(0);
}

/** WINDOW (P3.1). On stream 0 `received` and `limit` count messages (P3.7). */
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

/** CREDIT (P2.3): both are totals since the label, or the link, began. */
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
  /** The gateway's address it came to or leaves from, when the port is bound to a wildcard or group. */
  readonly localAddress?: IpText;
  readonly bytes: Buffer;
}

const hasLocalAddress = 0x10;

/** The body of a DATAGRAM, before it is cut into parts: port u32, shape u8 (family 4 or 6; 0x10: local address), number u16, peer, [local], bytes. */
export function encodeDatagram(datagram: Datagram): Buffer {
  const peer = ipToBytes(datagram.peerAddress);
  const local = datagram.localAddress === undefined ? undefined : ipToBytes(datagram.localAddress);
  const head = Buffer.allocUnsafe(7);
  head.writeUInt32BE(datagram.port, 0);
  head.writeUInt8(ipFamilyOf(datagram.peerAddress) | (local === undefined ? 0 : hasLocalAddress), 4);
  head.writeUInt16BE(datagram.peerNumber, 5);
  return Buffer.concat(
    local === undefined ? [head, peer, datagram.bytes] : [head, peer, local, datagram.bytes],
  );
}

/** The fields of a whole DATAGRAM body; `bytes` shares memory with it. */
export function decodeDatagram(body: Buffer): Datagram {
  if (body.length < 7)
    throw new EntremiseError('bad-request', { message: 'DATAGRAM is shorter than its header.' });
  const shape = body.readUInt8(4);
  const width = (shape & 0x0f) === 4 ? 4 : (shape & 0x0f) === 6 ? 16 : undefined;
  if (width === undefined || (shape & ~0x1f) !== 0) {
    throw new EntremiseError('bad-request', { message: 'DATAGRAM has an unknown shape.' });
  }
  const local = (shape & hasLocalAddress) !== 0;
  const bytesAt = 7 + width * (local ? 2 : 1);
  if (body.length < bytesAt)
    throw new EntremiseError('bad-request', { message: 'DATAGRAM is shorter than its header.' });
  return {
    port: body.readUInt32BE(0),
    peerAddress: ipFromBytes(body.subarray(7, 7 + width)),
    peerNumber: body.readUInt16BE(5),
    ...(local ? { localAddress: ipFromBytes(body.subarray(7 + width, bytesAt)) } : {}),
    bytes: body.subarray(bytesAt),
  };
}
