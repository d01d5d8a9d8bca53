import type { MessageCodec } from '../fields.ts';
import { attachedInner, attachInner } from '../messages/attach.ts';
import * as binary from '../messages/binary.ts';
import { type binaryFrames, controlMessages } from '../messages/index.ts';

/** Bytes and value of one body, whatever its kind, so that one test holds every codec. */
export interface AnyCodec {
  toBytes(value: unknown): Uint8Array;
  fromBytes(bytes: Uint8Array): unknown;
}

/** The codec of every CBOR body, also of the two that travel inside another. */
export const controlCodecs: Readonly<Record<string, MessageCodec<unknown>>> = {
  ...controlMessages,
  attachInner,
  attachedInner,
};

function fixed<T>(encode: (value: T) => Buffer, decode: (body: Buffer) => T): AnyCodec {
  return {
    toBytes: value => encode(value as T),
    fromBytes: bytes => decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  };
}

/** The codec of every body with fixed layout; a single number stands in an object under its name. */
export const binaryCodecs: Readonly<Record<(typeof binaryFrames)[number], AnyCodec>> = {
  data: fixed(({ offset, bytes }) => binary.encodeData(offset, bytes), binary.decodeData),
  fin: fixed<{ offset: number }>(
    ({ offset }) => binary.encodeFin(offset),
    body => ({ offset: binary.decodeFin(body) }),
  ),
  reset: fixed<{ reason: number }>(
    ({ reason }) => binary.encodeReset(reason),
    body => ({ reason: binary.decodeReset(body) }),
  ),
  window: fixed(binary.encodeWindow, binary.decodeWindow),
  credit: fixed(binary.encodeCredit, binary.decodeCredit),
  yield: fixed<{ upTo: number }>(
    ({ upTo }) => binary.encodeYield(upTo),
    body => ({ upTo: binary.decodeYield(body) }),
  ),
  datagram: fixed(binary.encodeDatagramBody, binary.decodeDatagramBody),
};
