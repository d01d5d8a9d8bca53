import test from 'ava';
import { AckWindow } from './ack-window.ts';

const kib = 1024;

/** A path that moves `bytesPerMs` and takes `roundTripMs`, filled as the window allows; the limit at the end. */
function settled(bytesPerMs: number, roundTripMs: number): number {
  const window = new AckWindow();
  // The PING behind WELCOME, with nothing in front of it.
  window.onRoundTrip(roundTripMs);
  let written = 0;
  let arrived = 0;
  for (let turn = 1; turn <= 60; turn++) {
    written = arrived + window.limitBytes;
    window.onPing(written);
    // What stands in front of the PING has to arrive first.
    const takesMs = Math.max(roundTripMs, (written - arrived) / bytesPerMs);
    arrived = written;
    nowMs += takesMs;
    window.onRoundTrip(takesMs);
    window.onAcknowledged(arrived, nowMs);
  }
  return window.limitBytes;
}

let nowMs = 0;

test('P8.2: 64 KiB may be under way on every path, and no more on a slow one', t => {
  const window = new AckWindow();
  t.false(window.isFull(64 * kib - 1));
  t.true(window.isFull(64 * kib));
  window.onAcknowledged(10 * kib, 0);
  t.is(window.limitBytes, 64 * kib);
  t.false(window.isFull(74 * kib - 1));
  t.true(window.isFull(74 * kib));
  // 256 kbit/s and 20 ms: 32 bytes a millisecond.
  t.is(settled(32, 20), 64 * kib);
});

test('P8.2: a fast path is filled: the limit grows to twice what its rate and round trip need', t => {
  // 100 Mbit/s and 40 ms: 500,000 bytes under way fill it.
  const limit = settled(12_500, 40);
  t.true(limit >= 500_000 && limit <= 1_000_001, `${limit}`);
});

test('P8.2: it is time to ask whenever a quarter of the limit has gone since the last time', t => {
  const window = new AckWindow();
  t.false(window.wantsPing(16 * kib - 1));
  t.true(window.wantsPing(16 * kib));
  window.onPing(16 * kib);
  t.false(window.wantsPing(32 * kib - 1));
});
