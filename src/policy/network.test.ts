import test from 'ava';
import fc from 'fast-check';
import { EntremiseError } from '../base/errors.ts';
import { isLastOf, networkContains, networkOf, networkText, parseNetwork } from './network.ts';
import { addressFromBytes, type CanonicalAddress, canonicalAddress } from './target.ts';

test('networks are read and written in one spelling', t => {
  for (const [text, expected] of [
    ['192.168.1.0/24', '192.168.1.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::/0', '::/0'],
    ['FD00:0::/8', 'fd00::/8'],
    ['10.1.2.3', '10.1.2.3'],
    ['10.1.2.3/32', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['fe80::1%br-lan', 'fe80::1%br-lan'],
  ] as const) {
    t.is(networkText(parseNetwork(text)), expected);
  }
});

test('what is no network is refused, and stray bits with the two things that may be meant', t => {
  for (const text of [
    '',
    '/',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '::/129',
    '10/8',
    '::ffff:0.0.0.0/96',
    'lan',
  ]) {
    t.throws(() => parseNetwork(text), { instanceOf: EntremiseError, message: /is not a network/ }, text);
  }
  t.throws(() => parseNetwork('192.168.1.7/24'), { message: /write 192\.168\.1\.0\/24 or 192\.168\.1\.7\./ });
});

/** The slow twin: addresses as bit strings. */
function naiveContains(base: CanonicalAddress, bits: number, address: CanonicalAddress): boolean {
  const bitsOf = (each: CanonicalAddress) =>
    [...each.bytes].map(byte => byte.toString(2).padStart(8, '0')).join('');
  return base.family === address.family && bitsOf(address).startsWith(bitsOf(base).slice(0, bits));
}

const bytesNear = (length: number) =>
  fc.array(fc.constantFrom(0, 1, 10, 127, 128, 192, 254, 255), { minLength: length, maxLength: length });
const address = fc.oneof(bytesNear(4), bytesNear(16)).map(bytes => addressFromBytes(Uint8Array.from(bytes)));

test('a network contains what a comparison of bit strings says', t => {
  fc.assert(
    fc.property(address, address, fc.nat(128), fc.nat(127), (base, other, wanted, flip) => {
      const bits = Math.min(wanted, base.bytes.length * 8);
      const near = Uint8Array.from(base.bytes);
      const at = (flip >> 3) % near.length;
      near[at] = (near[at] ?? 0) ^ (1 << (flip & 7));
      const network = networkOf(base, bits);
      return [base, other, addressFromBytes(near)].every(
        each => networkContains(network, each) === naiveContains(base, bits, each),
      );
    }),
    { numRuns: 10_000 },
  );
  t.pass();
});

test('a zone in a network is compared, its absence is not', t => {
  const zoned = canonicalAddress('fe80::1%eth0');
  t.true(networkContains(parseNetwork('fe80::1'), zoned));
  t.true(networkContains(parseNetwork('fe80::1%eth0'), zoned));
  t.false(networkContains(parseNetwork('fe80::1%eth1'), zoned));
  t.false(networkContains(parseNetwork('fe80::1%eth0'), canonicalAddress('fe80::1')));
});

test('the directed broadcast is the last address, and no other', t => {
  const isLast = (network: string, address: string) =>
    isLastOf(parseNetwork(network), canonicalAddress(address));
  t.true(isLast('192.168.1.0/24', '192.168.1.255'));
  t.true(isLast('10.0.0.0/9', '10.127.255.255'));
  for (const address of ['192.168.1.254', '192.168.2.255', '192.168.1.0', '::c0a8:1ff'])
    t.false(isLast('192.168.1.0/24', address), address);
  t.false(isLast('10.0.0.0/9', '10.255.255.255'));
});
