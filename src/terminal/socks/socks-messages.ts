import { type IpText, ipFamilyOf, ipFromBytes, ipToBytes } from '../../wire/ip.ts';
import type { Endpoint } from '../forward-tcp.ts';

/** The messages of SOCKS version 5 (RFC 1928) and of its password authentication (RFC 1929). */

/** What was read, and how many bytes it took. Undefined instead: more bytes are needed. */
export type Parsed<T> = { readonly value: T; readonly bytes: number } | undefined;

/** The peer does not speak the protocol; nothing can be answered. */
export class SocksFault extends Error {
  override readonly name = 'SocksFault';
}

/** Methods of authentication (RFC 1928 §3). */
export const socksMethod = { none: 0, password: 2, noneAcceptable: 0xff } as const;

/** Replies (RFC 1928 §6). */
export const socksReply = {
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  commandUnknown: 7,
  addressUnknown: 8,
} as const;

/** What a client asks for (RFC 1928 §4). */
export interface SocksRequest {
  /** 1 CONNECT, 2 BIND, 3 UDP ASSOCIATE, or what the client has said. */
  readonly command: number;
  /** Undefined when its type is none of IPv4, name, IPv6. */
  readonly target: Endpoint | undefined;
}

const version = 5;

function expectByte(bytes: Buffer, at: number, wanted: number, what: string): void {
  if (bytes[at] !== wanted) throw new SocksFault(`${what} is ${bytes[at]}, not ${wanted}.`);
}

/** Methods that a client offers. @throws SocksFault */
export function parseGreeting(bytes: Buffer): Parsed<Buffer> {
  if (bytes.length < 2) return undefined;
  expectByte(bytes, 0, version, 'The version of SOCKS');
  const end = 2 + (bytes[1] ?? 0);
  return bytes.length < end ? undefined : { value: bytes.subarray(2, end), bytes: end };
}

/** Name and password (RFC 1929 §2). @throws SocksFault */
export function parsePassword(bytes: Buffer): Parsed<{ readonly user: string; readonly password: string }> {
  if (bytes.length < 2) return undefined;
  expectByte(bytes, 0, 1, 'The version of the password');
  const userEnd = 2 + (bytes[1] ?? 0);
  const end = userEnd + 1 + (bytes[userEnd] ?? 0);
  if (bytes.length <= userEnd || bytes.length < end) return undefined;
  const user = bytes.toString('utf8', 2, userEnd);
  return { value: { user, password: bytes.toString('utf8', userEnd + 1, end) }, bytes: end };
}

/** An address, name and number as SOCKS writes them: type, address, number. Undefined inside: an unknown type. */
function parseEndpoint(bytes: Buffer, at: number): Parsed<Endpoint | undefined> {
  const type = bytes[at];
  const first = bytes[at + 1];
  if (type === undefined || first === undefined) return undefined;
  if (type !== 1 && type !== 3 && type !== 4) return { value: undefined, bytes: 0 };
  const start = type === 3 ? at + 2 : at + 1;
  const end = start + (type === 1 ? 4 : type === 4 ? 16 : first);
  if (bytes.length < end + 2) return undefined;
  const text = bytes.subarray(start, end);
  const host = type === 3 ? text.toString('latin1') : ipFromBytes(text);
  return { value: { host, port: bytes.readUInt16BE(end) }, bytes: end + 2 - at };
}

/** A request. @throws SocksFault */
export function parseRequest(bytes: Buffer): Parsed<SocksRequest> {
  if (bytes.length < 4) return undefined;
  expectByte(bytes, 0, version, 'The version of SOCKS');
  const target = parseEndpoint(bytes, 3);
  if (target === undefined) return undefined;
  const command = bytes[1] ?? 0;
  return { value: { command, target: target.value }, bytes: 3 + target.bytes };
}

function endpointBytes(address: IpText, port: number): Buffer {
  const type = ipFamilyOf(address) === 4 ? 1 : 4;
  return Buffer.from([type, ...ipToBytes(address), port >> 8, port & 0xff]);
}

/** A reply with the address and number that the client is to know; none: 0.0.0.0:0. */
export function replyBytes(code: number, address: IpText = '0.0.0.0', port = 0): Buffer {
  return Buffer.concat([Buffer.from([version, code, 0]), endpointBytes(address, port)]);
}

/** A datagram of a client (RFC 1928 §7), or undefined when it is none, or a fragment. */
export function parseDatagram(
  bytes: Buffer,
): { readonly target: Endpoint; readonly content: Buffer } | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0 || bytes[2] !== 0) return undefined;
  const target = parseEndpoint(bytes, 3);
  if (target?.value === undefined) return undefined;
  return { target: target.value, content: bytes.subarray(3 + target.bytes) };
}

/** What is put before a datagram that came from `address`. */
export function datagramHeader(address: IpText, port: number): Buffer {
  return Buffer.concat([Buffer.alloc(3), endpointBytes(address, port)]);
}
