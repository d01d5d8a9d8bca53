import test from 'ava';
import { AcceptLimiter, sourceOf } from './accept-limiter.ts';

test('a source is an IPv4 address or an IPv6 /56, in every spelling of Node', t => {
  for (const [address, source] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2300::1', '2001:db8:1:2300::/56'],
    ['2001:db8:1:23ff:a:b:c:d', '2001:db8:1:2300::/56'],
    ['2001:db8:1:2400::1', '2001:db8:1:2400::/56'],
    ['2001:db8::1', '2001:db8:0:0::/56'],
    ['::1', '0:0:0:0::/56'],
    ['::', '0:0:0:0::/56'],
    ['2001:db8::', '2001:db8:0:0::/56'],
    ['fe80::1%eth0', 'fe80:0:0:0::/56'],
    ['2001:db8:0:1ab:0:0:0:1', '2001:db8:0:100::/56'],
  ] as const) {
    t.is(sourceOf(address), source, address);
  }
});

test('one source is refused at its limit, others until the limit in all', t => {
  const limiter = new AcceptLimiter({ maxUnauthenticated: 3, maxUnauthenticatedPerSource: 2 });
  const admit = (address: string) => {
    const admitted = limiter.admit(address);
    return typeof admitted === 'string' ? admitted : 'admitted';
  };
  t.is(admit('192.0.2.1'), 'admitted');
  t.is(admit('::ffff:192.0.2.1'), 'admitted');
  t.is(admit('192.0.2.1'), 'over-source-limit');
  t.is(admit('192.0.2.2'), 'admitted');
  t.is(admit('192.0.2.3'), 'over-limit');
  t.is(limiter.unauthenticated, 3);
});

test('a place is given back once, however often it is released', t => {
  const limiter = new AcceptLimiter({ maxUnauthenticated: 9, maxUnauthenticatedPerSource: 1 });
  const first = limiter.admit('192.0.2.1');
  if (typeof first === 'string') return t.fail(first);
  first();
  const second = limiter.admit('192.0.2.1');
  first();
  t.is(limiter.unauthenticated, 1);
  t.is(limiter.admit('192.0.2.1'), 'over-source-limit');
  if (typeof second !== 'string') second();
  t.is(limiter.unauthenticated, 0);
});
