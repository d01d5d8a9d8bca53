import test from 'ava';
import fc from 'fast-check';
import { EntremiseError } from '../base/errors.ts';
import { encodeFrame, type Frame, FrameDecoder, frameBody, reflag, relabel } from './frame.ts';
import { headerBytes, maxBodyBytes } from './spec.ts';

const header = { type: 4, flags: 0, label: 1, stream: 1 };

function tooLarge(thrown: Error | undefined): boolean {
  return thrown instanceof EntremiseError && thrown.code === 'frame-too-large';
}

/** A header that announces `length` bytes of body, without the body. */
function announce(length: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt16BE(length, 2);
  return bytes;
}

test('a frame with the longest body fills one TLS record and comes back', t => {
  const bytes = encodeFrame(header, Buffer.alloc(maxBodyBytes, 7));
  t.is(bytes.length, 16_384);
  const frames: Frame[] = [];
  new FrameDecoder().push(bytes, frame => frames.push(frame));
  t.deepEqual(frames, [{ ...header, bytes }]);
});

test('a body one byte longer is neither written nor read', t => {
  t.true(tooLarge(t.throws(() => encodeFrame(header, Buffer.alloc(maxBodyBytes + 1)))));
  const whole = Buffer.concat([announce(maxBodyBytes + 1), Buffer.alloc(maxBodyBytes + 1)]);
  t.true(tooLarge(t.throws(() => new FrameDecoder().push(whole, () => t.fail()))));
});

test('a frame that announces too much is refused with its header, before any of its body is kept', t => {
  const decoder = new FrameDecoder();
  decoder.push(announce(0xffff).subarray(0, headerBytes - 1), () => t.fail());
  t.true(tooLarge(t.throws(() => decoder.push(Buffer.alloc(1), () => t.fail()))));
  t.true(decoder.heldBytes <= headerBytes);
});

test('frames before one that is refused are handed on', t => {
  const good = encodeFrame(header, Buffer.from('good'));
  const frames: Frame[] = [];
  t.true(
    tooLarge(
      t.throws(() =>
        new FrameDecoder().push(Buffer.concat([good, announce(0xffff)]), frame => frames.push(frame)),
      ),
    ),
  );
  t.is(frames.length, 1);
});

test('a frame that lies whole in a piece is a view on it, one that is cut is a copy', t => {
  const bytes = encodeFrame(header, Buffer.from('body'));
  new FrameDecoder().push(bytes, frame => t.is(frame.bytes.buffer, bytes.buffer));
  const decoder = new FrameDecoder();
  decoder.push(bytes.subarray(0, 5), () => t.fail());
  decoder.push(bytes.subarray(5), frame => {
    bytes.fill(0);
    t.is(frameBody(frame).toString(), 'body');
  });
  t.is(decoder.heldBytes, 0);
});

test('label and flags can be written into an encoded frame', t => {
  const bytes = encodeFrame(header, Buffer.from('body'));
  relabel(bytes, 0x8000_0000);
  reflag(bytes, 2);
  new FrameDecoder().push(bytes, frame => {
    t.deepEqual(
      { ...frame, bytes: undefined },
      { ...header, label: 0x8000_0000, flags: 2, bytes: undefined },
    );
    t.is(frameBody(frame).toString(), 'body');
  });
});

const someFrame = fc
  .record({
    type: fc.nat(0xff),
    flags: fc.nat(0xff),
    label: fc.nat(0xffff_ffff),
    stream: fc.nat(0xffff_ffff),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(maxBodyBytes).map(length => new Uint8Array(length)),
    ),
  })
  .map(({ body, ...fields }) => ({ ...fields, bytes: encodeFrame(fields, body) }));

/** The bytes in pieces, cut at each of `cuts` (taken modulo the length); empty pieces included. */
function cutInto(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map(cut => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => Buffer.from(bytes.subarray(at[index], end)));
}

test('the frames are the same however their bytes are cut', t => {
  fc.assert(
    fc.property(
      fc.array(someFrame, { maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (frames, cuts) => {
        const decoder = new FrameDecoder();
        const got: Frame[] = [];
        const bytes = Buffer.concat(frames.map(frame => frame.bytes));
        for (const piece of cutInto(bytes, cuts)) decoder.push(piece, frame => got.push(frame));
        t.is(decoder.heldBytes, 0);
        t.deepEqual(got, frames);
      },
    ),
    { numRuns: 300 },
  );
});

test('random bytes, however cut, give frames or `frame-too-large`, the same each time', t => {
  const outcome = (pieces: readonly Buffer[]) => {
    const got: string[] = [];
    const decoder = new FrameDecoder();
    try {
      for (const piece of pieces) decoder.push(piece, frame => got.push(frame.bytes.toString('hex')));
    } catch (thrown) {
      got.push(thrown instanceof EntremiseError ? thrown.code : `not ours: ${thrown}`);
    }
    return got;
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat(), { maxLength: 20 }), (noise, cuts) => {
      const bytes = Buffer.from(noise.map((byte, index) => (index % 13 === 2 ? byte % 2 : byte)));
      const whole = outcome([bytes]);
      t.deepEqual(outcome(cutInto(bytes, cuts)), whole);
      t.true(whole.every(result => result === 'frame-too-large' || /^[0-9a-f]+$/.test(result)));
    }),
    { numRuns: 1000 },
  );
});
