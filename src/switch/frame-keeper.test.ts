import test from 'ava';
import { FrameFifo } from './frame-fifo.ts';
import { FrameKeeper } from './frame-keeper.ts';

test('P2.3: small frames that wait do not pin the pieces they came in', t => {
  const keeper = new FrameKeeper();
  const rooms = new Set<ArrayBufferLike>();
  for (let count = 0; count < 10_000; count++) {
    const piece = Buffer.allocUnsafeSlow(65_536);
    piece.writeUInt32BE(count, 100);
    const kept = keeper.keep(piece.subarray(100, 112));
    t.is(kept.readUInt32BE(0), count);
    rooms.add(kept.buffer);
  }
  const pinned = [...rooms].reduce((sum, room) => sum + room.byteLength, 0);
  t.true(pinned < 2 * 12 * 10_000, `${pinned} bytes are pinned by ${12 * 10_000}`);
});

test('a frame of a few hundred bytes and more keeps memory of its own size, a long one is not copied', t => {
  const keeper = new FrameKeeper();
  const piece = Buffer.allocUnsafeSlow(65_536);
  t.is(keeper.keep(piece.subarray(0, 1000)).buffer.byteLength, 1000);
  const long = piece.subarray(0, 16_384);
  t.is(keeper.keep(long), long);
});

test('a fifo gives back what it was given, in order, also when it never runs empty', t => {
  const fifo = new FrameFifo();
  let next = 0;
  for (let count = 0; count < 20_000; count++) {
    const frame = Buffer.alloc(4);
    frame.writeUInt32BE(count);
    fifo.push(frame);
    if (count % 3 === 0) t.is(fifo.shift()?.readUInt32BE(0), next++);
  }
  while (!fifo.empty) t.is(fifo.shift()?.readUInt32BE(0), next++);
  t.is(next, 20_000);
  t.is(fifo.shift(), undefined);
});
