import { EntremiseError } from '../base/errors.ts';

/**
 * Writes what {@link decodeCbor} reads: the one encoding of a value in the profile of cbor.ts. Written here because every
 * command, result and event is a few numbers, for which a general encoder spends ten times what they need.
 */

/** Major types of RFC 8949 §3.1, as the upper three bits of a head. */
const majorBits = { uint: 0x00, bytes: 0x40, text: 0x60, array: 0x80, map: 0xa0 } as const;

const keptRoomBytes = 16 * 1024;
const longestHeadBytes = 9;

/** One for all messages, since nothing else runs while one is written. Longer ones get another for themselves. */
const keptRoom = Buffer.allocUnsafeSlow(keptRoomBytes);
let room = keptRoom;
let at = 0;

function need(byteCount: number): void {
  if (at + byteCount <= room.length) return;
  const larger = Buffer.allocUnsafeSlow(2 * (at + byteCount));
  room.copy(larger, 0, 0, at);
  room = larger;
}

function writeHead(major: number, value: number): void {
  need(longestHeadBytes);
  if (value < 24) at = room.writeUInt8(major | value, at);
  else if (value < 2 ** 8) at = room.writeUInt8(value, room.writeUInt8(major | 24, at));
  else if (value < 2 ** 16) at = room.writeUInt16BE(value, room.writeUInt8(major | 25, at));
  else if (value < 2 ** 32) at = room.writeUInt32BE(value, room.writeUInt8(major | 26, at));
  else {
    const high = room.writeUInt32BE(Math.floor(value / 2 ** 32), room.writeUInt8(major | 27, at));
    at = room.writeUInt32BE(value % 2 ** 32, high);
  }
}

function writeBytes(bytes: Uint8Array): void {
  writeHead(majorBits.bytes, bytes.length);
  need(bytes.length);
  room.set(bytes, at);
  at += bytes.length;
}

function writeText(text: string): void {
  const length = Buffer.byteLength(text);
  writeHead(majorBits.text, length);
  need(length);
  at += room.write(text, at, 'utf8');
}

/** Keys in rising order: tables of fields mostly have them so. */
function writeMap(map: ReadonlyMap<unknown, unknown>): void {
  writeHead(majorBits.map, map.size);
  let last = -1;
  for (const key of map.keys()) {
    if (Number(key) < last) return writeSorted(map);
    last = Number(key);
  }
  for (const [key, value] of map) writeEntry(key, value);
}

function writeSorted(map: ReadonlyMap<unknown, unknown>): void {
  const entries = [...map].sort(([left], [right]) => Number(left) - Number(right));
  for (const [key, value] of entries) writeEntry(key, value);
}

function writeEntry(key: unknown, value: unknown): void {
  writeHead(majorBits.uint, Number(key));
  writeItem(value);
}

function writeItem(value: unknown): void {
  switch (typeof value) {
    case 'number':
      return writeHead(majorBits.uint, value);
    case 'string':
      return writeText(value);
    case 'boolean':
      need(1);
      at = room.writeUInt8(value ? 0xf5 : 0xf4, at);
      return undefined;
    default:
      return writeObject(value);
  }
}

function writeObject(value: unknown): void {
  if (value instanceof Uint8Array) return writeBytes(value);
  if (value instanceof Map) return writeMap(value);
  if (!Array.isArray(value)) throw new EntremiseError('internal', { message: 'A value that CBOR lacks.' });
  writeHead(majorBits.array, value.length);
  for (const item of value) writeItem(item);
}

/**
 * The one encoding of numbers, text, byte strings, booleans, arrays and Maps with number keys. Checks nothing: fields.ts
 * does.
 */
export function encodeCbor(value: unknown): Uint8Array {
  room = keptRoom;
  at = 0;
  writeItem(value);
  const encoded = Buffer.from(room.subarray(0, at));
  room = keptRoom;
  return encoded;
}
