import { createCipheriv } from 'node:crypto';
import type { PacketSuite } from '../wire/packet-key.ts';

/** Which suite a box seals fast (P7.1): with AES instructions AES-GCM does, without them ChaCha20-Poly1305 by far. */

/** What is sealed to see, and how often: a few milliseconds on the slowest gateway, since the quickest of each counts. */
const sealedBytes = 32 * 1024;
const rounds = 3;

/** Where both are fast the shorter key is taken: what is slower by less than that is noise, or costs nothing. */
const clearly = 1.25;

const keyBytes: Readonly<Record<PacketSuite, number>> = { 'aes-128-gcm': 16, 'chacha20-poly1305': 32 };

/** How long one round of a suite took, in any unit. */
export type Stopwatch = (suite: PacketSuite) => number;

const sealOnce: Stopwatch = suite => {
  const plain = Buffer.alloc(sealedBytes);
  const begunNs = process.hrtime.bigint();
  // Node's types know each AEAD by itself and not a choice of them.
  const cipher = createCipheriv(suite as 'aes-128-gcm', Buffer.alloc(keyBytes[suite]), Buffer.alloc(12), {
    authTagLength: 16,
  });
  cipher.update(plain);
  cipher.final();
  return Number(process.hrtime.bigint() - begunNs);
};

/** Both suites, the one that is fast here first. */
export function suitesBySpeed(stopwatch: Stopwatch = sealOnce): readonly PacketSuite[] {
  const best = { 'aes-128-gcm': Number.POSITIVE_INFINITY, 'chacha20-poly1305': Number.POSITIVE_INFINITY };
  // By turns, so that what disturbs one disturbs the other.
  for (let round = 0; round < rounds; round++)
    for (const suite of ['aes-128-gcm', 'chacha20-poly1305'] as const)
      best[suite] = Math.min(best[suite], stopwatch(suite));
  const isAesSlow = best['aes-128-gcm'] > clearly * best['chacha20-poly1305'];
  return isAesSlow ? ['chacha20-poly1305', 'aes-128-gcm'] : ['aes-128-gcm', 'chacha20-poly1305'];
}
