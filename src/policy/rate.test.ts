import test from 'ava';
import fc from 'fast-check';
import { TokenBucket } from './rate.ts';

test('a burst passes at once, then the rate', t => {
  const bucket = new TokenBucket(10, 3, 1000);
  t.deepEqual(
    [1, 2, 3, 4].map(() => bucket.take(1, 1000)),
    [true, true, true, false],
  );
  t.is(bucket.waitMs(1, 1000), 100);
  t.false(bucket.take(1, 1099));
  t.true(bucket.take(1, 1101));
});

test('all or none are taken', t => {
  const bucket = new TokenBucket(1, 5, 0);
  t.false(bucket.take(6, 0));
  t.true(bucket.take(5, 0));
  t.is(bucket.waitMs(6, 0), Number.POSITIVE_INFINITY);
  t.is(bucket.waitMs(0, 0), 0);
});

test('a clock that goes back gives nothing', t => {
  const bucket = new TokenBucket(1, 1, 1000);
  t.true(bucket.take(1, 1000));
  t.false(bucket.take(1, 0));
  t.false(bucket.take(1, 1999));
  t.true(bucket.take(1, 2000));
});

test('no sequence of calls passes more than burst plus rate times time', t => {
  const call = fc.record({ afterMs: fc.nat(500), count: fc.integer({ min: 1, max: 4 }) });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 200 }), calls => {
      const bucket = new TokenBucket(20, 5, 0);
      let now = 0;
      let taken = 0;
      return calls.every(({ afterMs, count }) => {
        now += afterMs;
        if (bucket.take(count, now)) taken += count;
        return taken <= 5 + (now / 1000) * 20 + 1e-6;
      });
    }),
  );
  t.pass();
});
