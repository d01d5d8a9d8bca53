import test from 'ava';
import fc from 'fast-check';
import { Budget } from './budget.ts';
import { SendHalf } from './send-half.ts';
import { SlabPool, slabBytes, slabCapacity, slabHeadroom } from './slab.ts';
import { emptyLink, pattern } from './testing/frames.ts';

const everything = Number.MAX_SAFE_INTEGER;
const shareBytes = 64 * 1024;

test('a slab that came back is lent again, and never to two at once', t => {
  const pool = new SlabPool();
  const first = pool.take();
  t.is(first.length, slabBytes);
  pool.give(first);
  t.is(pool.take(), first);
  t.not(pool.take(), first);
});

test('small slabs and those beyond what a pool keeps are left to the garbage collector', t => {
  const pool = new SlabPool();
  const small = pool.copyOf(pattern(100));
  t.is(small.length, slabHeadroom + 100);
  pool.give(small);
  t.not(pool.take(), small);
  const many = Array.from({ length: 300 }, () => pool.take());
  for (const slab of many) pool.give(slab);
  const again = Array.from({ length: 300 }, () => pool.take());
  t.is(again.filter(slab => many.includes(slab)).length, 256);
});

test('a copy is one: what the source becomes later does not show', t => {
  const pool = new SlabPool();
  for (const length of [1, 4095, 4096, slabCapacity]) {
    const source = pattern(length);
    const slab = pool.copyOf(source);
    source.fill(0);
    t.deepEqual(slab.subarray(slabHeadroom, slabHeadroom + length), pattern(length));
  }
});

test('few bytes in a full slab move to a small one, and the full one is free', t => {
  const pool = new SlabPool();
  const full = pool.take();
  full.set(pattern(10), slabHeadroom);
  const small = pool.fit(full, 10);
  t.is(small.length, slabHeadroom + 10);
  t.is(pool.take(), full);
  full.fill(0);
  t.deepEqual(small.subarray(slabHeadroom), pattern(10));
  t.is(pool.fit(full, 4096), full);
});

/** Streams of one pool over a link that refers to what is written until it has left, as a socket does. */
class SlowLink {
  readonly position = { writtenBytes: 0, leftBytes: 0 };
  private readonly waiting: { frame: Buffer; asWritten: Buffer; endBytes: number }[] = [];
  private readonly pool = new SlabPool();
  private readonly budget = new Budget(1 << 20);
  readonly streams = [1, 2].map(id => this.makeStream(id));

  private makeStream(id: number) {
    this.budget.reserve(shareBytes);
    return { id, half: new SendHalf(this.pool, this.budget, 20_000, shareBytes), limit: 20_000, sent: 0 };
  }

  take({ id, half }: SlowLink['streams'][number]): number {
    const frame = half.take({ label: 1, stream: id }, everything, this.position);
    if (frame === undefined) return 0;
    this.position.writtenBytes += frame.length;
    const endBytes = this.position.writtenBytes;
    this.waiting.push({ frame, asWritten: Buffer.from(frame), endBytes });
    return half.reset ? 0 : frame.length - slabHeadroom;
  }

  leave(): void {
    this.position.leftBytes = this.waiting.shift()?.endBytes ?? this.position.leftBytes;
  }

  get intact(): boolean {
    return this.waiting.every(({ frame, asWritten }) => frame.equals(asWritten));
  }
}

type What = 'write' | 'take' | 'acknowledge' | 'raise' | 'leave' | 'abort';

interface Step {
  readonly what: What;
  readonly stream: number;
  readonly bytes: number;
}

const often: readonly What[] = ['write', 'write', 'take', 'take', 'acknowledge', 'leave', 'raise'];
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom<What>(...often, ...often, ...often, 'abort'),
  stream: fc.constantFrom(0, 1),
  bytes: fc.integer({ min: 1000, max: 40_000 }),
});

function run(link: SlowLink, { what, stream: index, bytes }: Step): void {
  const stream = link.streams[index] ?? link.streams[0];
  if (stream === undefined) return;
  const { half, id } = stream;
  switch (what) {
    case 'write':
      return half.addCopy(pattern(Math.min(bytes, half.roomBytes), id));
    case 'take':
      stream.sent += link.take(stream);
      return;
    case 'acknowledge':
      return half.onWindow({ received: Math.floor((stream.sent * bytes) / 40_000), limit: 0, yields: 0 });
    case 'raise':
      stream.limit += bytes;
      return half.raiseLimit(stream.limit);
    case 'leave':
      return link.leave();
    case 'abort':
      half.abort(26);
  }
}

test('no slab is used again while the link refers to it, whatever the peer says to have received', t => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 200 }), history => {
      const link = new SlowLink();
      return history.every(next => {
        run(link, next);
        return link.intact;
      });
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test('what has left is used again: a steady stream lives on few slabs', t => {
  const budget = new Budget(1 << 20);
  const half = new SendHalf(new SlabPool(), budget, everything, shareBytes);
  const seen = new Set<ArrayBufferLike>();
  for (let round = 0; round < 200; round++) {
    half.addCopy(pattern(16_000));
    const frame = half.take({ label: 1, stream: 1 }, everything, emptyLink);
    if (frame !== undefined) seen.add(frame.buffer);
    half.onWindow({ received: half.endOffset, limit: everything, yields: 0 });
  }
  t.true(seen.size <= 4, `${seen.size}`);
});
