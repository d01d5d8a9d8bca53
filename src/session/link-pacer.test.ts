import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { LinkPacer } from './link-pacer.ts';

const kib = 1024;

function makePacer() {
  const clock = fakeClock();
  const written: number[] = [];
  const pacer = new LinkPacer(clock, frame => written.push(frame.length));
  const total = () => written.reduce((sum, bytes) => sum + bytes, 0);
  return { clock, pacer, written, total };
}

test('P1.6: a burst goes at once, the rest in order at half the pace that is allowed', t => {
  const { clock, pacer, written, total } = makePacer();
  for (let index = 0; index < 100; index++) pacer.send(Buffer.alloc(10_000 + index));
  t.true(total() <= 256 * kib && total() > 240 * kib);
  t.is(pacer.waitingBytes + total(), 100 * 10_000 + 4950);
  for (let second = 1; second <= 10; second++) {
    clock.advance(1000);
    t.true(total() <= (256 + 32 * second) * kib, `${second} s`);
    t.true(total() > (256 + 32 * second) * kib - 11_000, `${second} s`);
  }
  clock.advance(60_000);
  t.deepEqual(
    written,
    Array.from({ length: 100 }, (_, index) => 10_000 + index),
  );
  t.is(pacer.waitingBytes, 0);
});

test('P1.6: what may not wait is paid for by what may', t => {
  const { clock, pacer, total } = makePacer();
  pacer.spend(300 * kib);
  pacer.send(Buffer.alloc(1000));
  t.is(total(), 0);
  clock.advance(1000);
  t.is(total(), 0);
  clock.advance(1000);
  t.is(total(), 1000);
});

test('a pacer that is stopped writes nothing any more', t => {
  const { clock, pacer, total } = makePacer();
  pacer.spend(300 * kib);
  pacer.send(Buffer.alloc(1000));
  pacer.stop();
  clock.advance(60_000);
  t.is(total(), 0);
  t.is(pacer.waitingBytes, 0);
});
