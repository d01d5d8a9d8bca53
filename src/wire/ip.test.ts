import { isIP } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { EntremiseError } from '../base/errors.ts';
import { canonicalIp, ipFamilyOf, ipFromBytes, ipToBytes } from './ip.ts';
import { randomAddress } from './testing/random-values.ts';

const canonical: Readonly<Record<string, string>> = {
  '0.0.0.0': '00000000',
  '192.168.1.20': 'c0a80114',
  '::': '00000000000000000000000000000000',
  '::1': '00000000000000000000000000000001',
  'fd00::20': 'fd000000000000000000000000000020',
  '2001:db8:0:1:1:1:1:1': '20010db8000000010001000100010001',
  '2001:db8::1:0:0:1': '20010db8000000000001000000000001',
  '::ffff:c0a8:114': '00000000000000000000ffffc0a80114',
};

test('an address in canonical spelling goes to its bytes and back', t => {
  for (const [text, hex] of Object.entries(canonical)) {
    t.is(Buffer.from(ipToBytes(text)).toString('hex'), hex, text);
    t.is(ipFromBytes(Buffer.from(hex, 'hex')), text);
    t.is(canonicalIp(text), text);
    t.is(ipFamilyOf(text), isIP(text) as 4 | 6);
  }
});

const otherSpellings: Readonly<Record<string, string>> = {
  'FD00::20': 'fd00::20',
  'fd00:0::0:20': 'fd00::20',
  '2001:db8:0:1::1:1:1': '2001:db8:0:1:0:1:1:1',
  '::ffff:192.168.1.20': '::ffff:c0a8:114',
};

test('other spellings of IPv6 have one canonical one, and are not written as they are', t => {
  for (const [text, expected] of Object.entries(otherSpellings)) {
    t.is(canonicalIp(text), expected, text);
    t.throws(() => ipToBytes(text), { instanceOf: EntremiseError });
  }
});

const none = [
  '',
  '127.1',
  '0x7f.1',
  '2130706433',
  '010.0.0.1',
  '1.2.3.4.5',
  '1.2.3.256',
  ' 1.2.3.4',
  '1.2.3.4 ',
  '١.2.3.4',
  'fe80::1%eth0',
  '::ffff:010.0.0.1',
  '::1::',
  'g::',
  'localhost',
  '[::1]',
  '1.2.3.4/24',
];

test('what some parsers take for an address is none', t => {
  for (const text of none) {
    t.is(canonicalIp(text), undefined, text);
    t.throws(() => ipToBytes(text), { instanceOf: EntremiseError, message: /is not an IP address/ }, text);
  }
});

test('any 4 or 16 bytes have a spelling that gives them back and that Node takes for an address', t => {
  fc.assert(
    fc.property(randomAddress, text => {
      t.is(ipFromBytes(ipToBytes(text)), text);
      t.not(isIP(text), 0);
    }),
  );
});

test('whatever text comes, what is taken for an address is one for Node too', t => {
  const nearly = fc.string({ unit: fc.constantFrom(...'0127af:.%x'), maxLength: 24 });
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string()), text => {
      const found = canonicalIp(text);
      if (found === undefined) return;
      t.not(isIP(text), 0, text);
      t.is(canonicalIp(found), found);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
