import test from 'ava';
import type { PacketSuite } from '../wire/packet-key.ts';
import { suitesBySpeed } from './suite-order.ts';

/** Rounds that take so long, one after the other, the last of them again and again. */
function stopwatch(times: Readonly<Record<PacketSuite, readonly number[]>>) {
  const asked = { 'aes-128-gcm': 0, 'chacha20-poly1305': 0 };
  return (suite: PacketSuite) => times[suite][Math.min(asked[suite]++, times[suite].length - 1)] ?? 0;
}

test('P7.1: a box without AES instructions puts ChaCha20-Poly1305 first, one that has them AES', t => {
  const slow = stopwatch({ 'aes-128-gcm': [900], 'chacha20-poly1305': [300] });
  t.deepEqual(suitesBySpeed(slow), ['chacha20-poly1305', 'aes-128-gcm']);
  const fast = stopwatch({ 'aes-128-gcm': [100], 'chacha20-poly1305': [300] });
  t.deepEqual(suitesBySpeed(fast), ['aes-128-gcm', 'chacha20-poly1305']);
});

test('P7.1: neither a first round that is slow nor a small difference decides', t => {
  const cold = stopwatch({ 'aes-128-gcm': [5_000, 110], 'chacha20-poly1305': [100] });
  t.deepEqual(suitesBySpeed(cold), ['aes-128-gcm', 'chacha20-poly1305']);
});

test('P7.1: both suites are really sealed with', t => {
  t.deepEqual([...suitesBySpeed()].sort(), ['aes-128-gcm', 'chacha20-poly1305']);
});
