import test from 'ava';
import { RateMeter } from './rate-meter.ts';

const kib = 1024;

/** The backlog that is allowed after two seconds at that rate. */
function settledLimit(bytesPerMs: number, stepMs = 5): number {
  const meter = new RateMeter();
  for (let ms = 0; ms <= 2000; ms += stepMs) meter.onTaken(ms * bytesPerMs, ms);
  return meter.backlogLimitBytes;
}

test('P2.1: what may wait in front of TLS is 2 ms of the rate of the link', t => {
  t.true(Math.abs(settledLimit(100 * kib) - 200 * kib) < kib);
});

test('P2.1: it is at least 16 KiB, however slow the link, and at most 1 MiB, however fast', t => {
  t.is(settledLimit(0), 16 * kib);
  t.is(settledLimit(1), 16 * kib);
  t.true(settledLimit(2000 * kib) > 1023 * kib);
  t.true(settledLimit(2000 * kib) <= 1024 * kib);
});

test('before anything is measured it is 64 KiB, and one sample does not change it', t => {
  const meter = new RateMeter();
  t.is(meter.backlogLimitBytes, 64 * kib);
  meter.onTaken(10_000_000, 1);
  meter.onTaken(20_000_000, 20);
  t.is(meter.backlogLimitBytes, 64 * kib);
});

test('a pause is no slow link: the measurement begins anew after it', t => {
  const meter = new RateMeter();
  for (let ms = 0; ms <= 1000; ms += 5) meter.onTaken(ms * 100 * kib, ms);
  const before = meter.backlogLimitBytes;
  meter.onTaken(1000 * 100 * kib + 10, 60_000);
  t.is(meter.backlogLimitBytes, before);
});

test('a link that takes a piece only now and then, while others wait, is a slow one and no pause', t => {
  const meter = new RateMeter();
  for (let ms = 0; ms <= 4000; ms += 500) meter.onTaken(ms * 32, ms, 0);
  t.true(meter.backlogLimitBytes < 17 * kib, `${meter.backlogLimitBytes}`);
});

test('a link that becomes slower is followed down', t => {
  const meter = new RateMeter();
  for (let ms = 0; ms <= 1000; ms += 5) meter.onTaken(ms * 100 * kib, ms);
  for (let ms = 5; ms <= 1000; ms += 5) meter.onTaken(100_000 * kib + ms * 10 * kib, 1000 + ms);
  t.true(meter.backlogLimitBytes < 21 * kib, `${meter.backlogLimitBytes}`);
});
