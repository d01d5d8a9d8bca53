import test from 'ava';
import { encodeFrame, type Frame, FrameDecoder, frameBody } from './frame.ts';
import { binaryFrames, controlMessages } from './messages/index.ts';
import { type FrameName, frameFlag, frameType } from './spec.ts';
import { type AnyCodec, binaryCodecs, controlCodecs } from './testing/codecs.ts';
import { refusalOf } from './testing/refusal.ts';
import {
  type BodyVector,
  binaryVectors,
  controlVectors,
  frameVectors,
  withBytes,
  withHex,
} from './testing/vectors.ts';

/** The released bytes of protocol version 1 (P1.5): one list of literals, each proved five ways. */

const allCodecs: Readonly<Record<string, AnyCodec>> = { ...controlCodecs, ...binaryCodecs };

function codecOf(vector: BodyVector): AnyCodec {
  const codec = allCodecs[vector.message];
  if (codec === undefined) throw new Error(`no codec for ${vector.message}`);
  return codec;
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Feeds bytes one at a time, each in memory of its own. */
function byByte(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder();
  for (const byte of bytes) decoder.push(Buffer.from([byte]), frame => frames.push(frame));
  return frames;
}

/** DATA and DATAGRAM end where their frame does; every other body says itself where it ends. */
const openEnded = ['data', 'datagram'];

for (const vector of [...controlVectors, ...binaryVectors]) {
  const codec = codecOf(vector);
  const bytes = bytesOf(vector.hex);
  const read = (body: Uint8Array) => withHex(codec.fromBytes(body));

  test(`${vector.message}, ${vector.name}: the same bytes in every direction, refused when cut`, t => {
    t.is(hexOf(codec.toBytes(withBytes(vector.value))), vector.hex, 'written as the golden bytes');
    t.deepEqual(read(bytes), vector.value, 'the golden bytes read as the value');
    t.is(hexOf(codec.toBytes(codec.fromBytes(bytes))), vector.hex, 'what was read written as it was');

    const type = frameType[vector.message as FrameName] ?? frameType.attach;
    const frames = byByte(encodeFrame({ type, flags: 0, label: 0, stream: 0 }, bytes));
    t.deepEqual(
      frames.map(frame => read(frameBody(frame))),
      [vector.value],
      'whole when its frame comes one byte at a time',
    );

    for (let length = 0; length < (vector.headBytes ?? bytes.length); length += 1)
      t.is(
        refusalOf(() => read(bytes.subarray(0, length))),
        'bad-request',
        `cut to ${length} of ${bytes.length}`,
      );
    if (!openEnded.includes(vector.message))
      t.is(
        refusalOf(() => read(Buffer.concat([bytes, Buffer.of(0)]))),
        'bad-request',
        'a byte too many',
      );
  });
}

for (const vector of frameVectors) {
  const type = typeof vector.type === 'number' ? vector.type : frameType[vector.type as FrameName];
  const flags = vector.flags.reduce((all, name) => all | frameFlag[name as keyof typeof frameFlag], 0);
  const header = { type, flags, label: vector.label, stream: vector.stream };

  const bytes = bytesOf(vector.hex);

  test(`frame, ${vector.name}: the same bytes in every direction, handed on only when whole`, t => {
    t.is(hexOf(encodeFrame(header, bytesOf(vector.body))), vector.hex, 'written as the golden bytes');
    const whole: Frame[] = [];
    new FrameDecoder().push(bytes, frame => whole.push(frame));
    t.deepEqual(whole, [{ ...header, bytes }], 'the golden bytes read as the frame');
    t.is(whole.map(frame => hexOf(frameBody(frame))).join(), vector.body);
    t.deepEqual(byByte(bytes), whole, 'the same one byte at a time');
    for (let length = 0; length < bytes.length; length += 1) {
      const decoder = new FrameDecoder();
      decoder.push(bytes.subarray(0, length), () => t.fail(`handed on after ${length} bytes`));
      t.is(decoder.heldBytes, length);
    }
  });
}

test('every message of the protocol has a vector, and so has every variant of COMMAND and EVENT', t => {
  const shown = new Set([...controlVectors, ...binaryVectors].map(vector => vector.message));
  t.deepEqual(
    [...Object.keys(controlMessages), ...binaryFrames].filter(name => !shown.has(name)),
    [],
  );
  for (const [name, by] of [
    ['command', 'verb'],
    ['event', 'kind'],
  ] as const) {
    const shape = controlMessages[name].shape;
    const cases = shape.kind === 'choice' ? Object.keys(shape.cases) : [];
    const seen = controlVectors
      .filter(vector => vector.message === name)
      .map(vector => vector.value as Record<string, unknown>);
    t.deepEqual(
      cases.filter(which => !seen.some(value => value[by] === which)),
      [],
    );
  }
});

test('every field of every message stands in a vector', t => {
  const seen = new Set<string>();
  for (const vector of controlVectors) {
    const value = vector.value as Record<string, unknown>;
    for (const name of Object.keys(value)) seen.add(`${vector.message}.${name}`);
  }
  const missing = Object.entries(controlCodecs).flatMap(([name, { shape }]) => {
    const maps = shape.kind === 'choice' ? Object.values(shape.cases) : [shape];
    const fields = maps.flatMap(map => (map.kind === 'map' ? map.fields : []));
    return fields.map(field => `${name}.${field.name}`).filter(path => !seen.has(path));
  });
  t.deepEqual(missing, []);
});
