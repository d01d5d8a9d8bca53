import test from 'ava';
import { binaryFrames, controlMessages } from './messages/index.ts';
import {
  dataOffsetBytes,
  frameFlag,
  frameNameOf,
  frameType,
  headerBytes,
  isLabelType,
  maxBodyBytes,
  maxDataBytes,
} from './spec.ts';

test('every type has one number, one name and one codec', t => {
  const names: string[] = Object.keys(frameType);
  t.is(new Set(Object.values(frameType)).size, names.length);
  for (const [name, number] of Object.entries(frameType)) t.is(String(frameNameOf(number)), name);
  const rows: string[] = [...binaryFrames, ...Object.keys(controlMessages)];
  t.deepEqual(rows.sort(), names.sort());
});

test('types stand on a label below 0x20 and from 0x40 to 0x7f, else on the link', t => {
  const onLabel = (number: number) => number < 0x20;
  for (const number of Object.values(frameType)) t.is(isLabelType(number), onLabel(number));
  for (const later of [0x40, 0x7f]) t.true(isLabelType(later));
  for (const never of [0, 0x0c, 0x1f, 0x3f, 0x80, 0xff]) t.false(isLabelType(never));
});

test('flags are single bits, each used once', t => {
  const bits = Object.values(frameFlag);
  for (const bit of bits) t.is(bit & (bit - 1), 0);
  t.is(new Set(bits).size, bits.length);
});

test('a full DATA frame fills one TLS record', t => {
  t.is(headerBytes + maxBodyBytes, 16_384);
  t.is(headerBytes + dataOffsetBytes + maxDataBytes, 16_384);
});
