import { createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { hmacSha256 } from './hmac.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

test('gives what OpenSSL gives, for any key of up to 64 bytes and bodies on both sides of the scratch buffer', t => {
  fc.assert(
    fc.property(bytes(64), bytes(16), fc.nat(3000), (key, head, length) => {
      const body = randomBytes(length);
      const expected = createHmac('sha256', key).update(head).update(body).digest();
      t.deepEqual(hmacSha256(key, head, body), expected);
    }),
  );
});

test('what one key gives does not depend on what was asked before, and results are not shared', t => {
  const [key, other] = [randomBytes(32), randomBytes(32)];
  const message = Buffer.from('a command');
  const first = hmacSha256(key, message, message);
  const kept = Buffer.from(first);
  hmacSha256(other, message, Buffer.alloc(500));
  t.deepEqual(hmacSha256(key, message, message), kept);
  t.deepEqual(first, kept);
});

test('RFC 4231 §4.3, test case 2', t => {
  const mac = hmacSha256(Buffer.from('Jefe'), Buffer.from('what do ya want '), Buffer.from('for nothing?'));
  t.is(mac.toString('hex'), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
});

test('a key longer than a block is refused, since it would have to be hashed first', t => {
  t.throws(() => hmacSha256(Buffer.alloc(65), Buffer.alloc(0), Buffer.alloc(0)), { instanceOf: RangeError });
});
