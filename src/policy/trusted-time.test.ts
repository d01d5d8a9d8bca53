import test from 'ava';
import fc from 'fast-check';
import { raiseTrustedTime, startTrustedTime, trustedTimeMs } from './trusted-time.ts';

const build = Date.UTC(2026, 0, 1);
const minute = 60_000;

test('without a clock, time starts at the build or at the newest document that was kept, and runs on', t => {
  t.is(trustedTimeMs(startTrustedTime(build, 0, 500), 0, 500), build);
  t.is(trustedTimeMs(startTrustedTime(build, build + 7, 500), 0, 500), build + 7);
  t.is(trustedTimeMs(startTrustedTime(build, 0, 500), 0, 500 + minute), build + minute);
});

test("the system's clock counts when it is ahead", t => {
  const time = startTrustedTime(build, 0, 0);
  t.is(trustedTimeMs(time, build + minute, 0), build + minute);
  t.is(trustedTimeMs(time, build - minute, 0), build);
});

test('a learned time moves time forwards only', t => {
  const time = startTrustedTime(build, 0, 0);
  const later = raiseTrustedTime(time, build + 10 * minute, minute);
  t.is(trustedTimeMs(later, 0, 2 * minute), build + 11 * minute);
  t.is(raiseTrustedTime(later, build, 2 * minute), later);
  t.is(raiseTrustedTime(later, Number.NaN, 2 * minute), later);
  t.is(raiseTrustedTime(later, Number.POSITIVE_INFINITY, 2 * minute), later);
});

test('whatever is learned in whatever order, time never goes back', t => {
  const step = fc.record({
    afterMs: fc.nat(1e6),
    learnedMs: fc.integer({ min: 0, max: 4e12 }),
    systemMs: fc.constant(0),
  });
  fc.assert(
    fc.property(fc.array(step), steps => {
      let time = startTrustedTime(build, 0, 0);
      let now = 0;
      let last = build;
      return steps.every(({ afterMs, learnedMs, systemMs }) => {
        now += afterMs;
        time = raiseTrustedTime(time, learnedMs, now);
        const seen = trustedTimeMs(time, systemMs, now);
        const forwards = seen >= last && seen >= learnedMs;
        last = seen;
        return forwards;
      });
    }),
  );
  t.pass();
});
