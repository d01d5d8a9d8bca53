import { isIP } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { EntremiseError } from '../base/errors.ts';
import { addressFromBytes, canonicalAddress, parseAddress, parseTargetHost } from './target.ts';

const canonical: readonly (readonly [string, string])[] = [
  ['192.168.1.10', '192.168.1.10'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FD00::ABCD', 'fd00::abcd'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:0db8:0000:0001:0001:0001:0001:0001', '2001:db8:0:1:1:1:1:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:7F00:1', '127.0.0.1'],
  ['0:0:0:0:0:ffff:c0a8:010a', '192.168.1.10'],
  ['fe80::1%br-lan', 'fe80::1%br-lan'],
  ['FE80::1%eth0.7', 'fe80::1%eth0.7'],
  ['ff02::fb%br-lan', 'ff02::fb%br-lan'],
];

for (const [spelling, text] of canonical) {
  test(`${spelling} is ${text}`, t => {
    t.is(canonicalAddress(spelling).text, text);
    t.deepEqual(canonicalAddress(text), canonicalAddress(spelling));
  });
}

const noAddress = [
  ...['', ' ', '1', '127.1', '127.0.1', '0x7f.1', '0x7f000001', '2130706433', '017700000001', '0177.0.0.1'],
  ...[
    '010.0.0.1',
    '1.2.3.04',
    '1.2.3.256',
    '1.2.3.4.5',
    '1.2.3.',
    '.1.2.3',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '+1.2.3.4',
  ],
  ...['1.2.3.4\n', '1.2.3.4\0', '１.2.3.4', '1.2.3.4%eth0', '1.2.3.4/32', '1.2.3.-4', '1e1.2.3.4'],
  ...[
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '12345::',
    'g::',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
  ],
  ...[
    '1:2:3:4::5:6:7:8',
    '[::]',
    '[::1]',
    '::1.2.3',
    '::127.1',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '::01.2.3.4',
    '::0x7f00:1',
  ],
  ...['::1%lo', 'fe80::1%', 'fe80::1%%eth0', 'fe80::1%eth0%1', 'fe80::1%a/b', 'fe80::1%a b', 'fe80::1%é'],
  ...['fe80::1%sixteen-letters-', '2001:db8::1%eth0', '::ffff:127.0.0.1%lo', 'ff0e::1%eth0', 'fe80::1 %eth0'],
];

for (const text of noAddress) {
  test(`${JSON.stringify(text)} is no address`, t => {
    t.is(parseAddress(text), undefined);
    const error = t.throws(() => canonicalAddress(text), { instanceOf: EntremiseError });
    t.is(error?.code, 'bad-request');
  });
}

test('an error quotes foreign text escaped and cut', t => {
  const error = t.throws(() => canonicalAddress(`\u001b[31m\n${'x'.repeat(1_000_000)}`));
  t.regex(error?.message ?? '', /^"\\u001b\[31m\\n.{1,60}…" is not an IP address/);
});

/** The slow twin: expands to eight groups of text, by rules written in another way. */
function naiveBytes(text: string): number[] | undefined {
  if (isIP(text) === 0 || text.includes('%')) return undefined;
  if (isIP(text) === 4) return text.split('.').map(Number);
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  let full = text;
  if (dotted !== null) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(2).map(Number);
    full = `${dotted[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  while (
    full.includes('::') &&
    full
      .replace('::', ':x:')
      .split(':')
      .filter(part => part !== '').length < 9
  ) {
    full = full.replace('::', ':0::');
  }
  const groups = full
    .replace('::', ':')
    .split(':')
    .filter(part => part !== '');
  const bytes = groups.flatMap(group => [Number(`0x${group}`) >> 8, Number(`0x${group}`) & 255]);
  const mapped = bytes.slice(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255';
  return mapped ? bytes.slice(12) : bytes;
}

const alphabet = fc.constantFrom(
  '0',
  '1',
  '2',
  '7',
  '9',
  'a',
  'f',
  'F',
  ':',
  '::',
  '.',
  '255',
  '127',
  'ffff',
  'x',
  '%',
);
const addressLike = fc.oneof(
  fc.array(alphabet, { maxLength: 20 }).map(parts => parts.join('')),
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4().map(text => `::ffff:${text}`),
  fc
    .tuple(fc.ipV6(), alphabet, fc.nat(40))
    .map(([text, bit, at]) => text.slice(0, at) + bit + text.slice(at)),
  fc
    .tuple(fc.ipV4(), alphabet, fc.nat(15))
    .map(([text, bit, at]) => text.slice(0, at) + bit + text.slice(at)),
);

test('text is an address exactly when net.isIP says so, with the bytes of a slow reference', t => {
  fc.assert(
    fc.property(addressLike, text => {
      const address = parseAddress(text);
      if (text.includes('%')) return address === undefined || address.zone !== undefined;
      const expected = naiveBytes(text);
      return expected === undefined
        ? address === undefined
        : address !== undefined && [...address.bytes].join() === expected.join();
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});

test('the bytes are those that ipaddr.js finds, but for ::1.2.3.4, which it takes for IPv4-mapped', t => {
  t.is(ipaddr.process('::1.2.3.4').toString(), '1.2.3.4');
  t.is(canonicalAddress('::1.2.3.4').text, '::102:304');
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), text => {
      fc.pre(!/:.*\./.test(text));
      const reference = ipaddr.process(text).toByteArray();
      return [...canonicalAddress(text).bytes].join() === reference.join();
    }),
    { numRuns: 5_000 },
  );
});

test('the canonical text reads back as the same address, and spelling it otherwise changes nothing', t => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 0xff, 1), { minLength: 16, maxLength: 16 })
      .map(all => Uint8Array.from(all)),
  );
  fc.assert(
    fc.property(bytes, raw => {
      const address = addressFromBytes(raw);
      const again = canonicalAddress(address.text);
      return again.text === address.text && [...again.bytes].join() === [...address.bytes].join();
    }),
    { numRuns: 5_000 },
  );
  t.pass();
});

test('bytes of another length, and zones where none can stand, are refused', t => {
  for (const length of [0, 1, 3, 5, 15, 17]) t.throws(() => addressFromBytes(new Uint8Array(length)));
  t.throws(() => addressFromBytes(new Uint8Array(4), 'eth0'), { message: /A zone is an interface name/ });
  t.is(addressFromBytes(canonicalAddress('fe80::2').bytes, 'eth0').text, 'fe80::2%eth0');
});

test('an address keeps its own bytes when the buffer it came from changes', t => {
  const buffer = Uint8Array.from([10, 0, 0, 1]);
  const address = addressFromBytes(buffer);
  buffer[0] = 127;
  t.is(address.bytes[0], 10);
});

for (const [text, name] of [
  ['printer.lan', 'printer.lan'],
  ['Printer.LAN.', 'printer.lan'],
  ['localhost', 'localhost'],
  ['_sip._udp.example', '_sip._udp.example'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ['1.2.3.4.example', '1.2.3.4.example'],
  [`${'a'.repeat(63)}.b`, `${'a'.repeat(63)}.b`],
] as const) {
  test(`${text} is a name`, t => {
    t.deepEqual(parseTargetHost(text), { kind: 'name', name });
  });
}

const neither = [
  ...[
    '',
    '.',
    '..',
    'a..b',
    '.a',
    '-a.b',
    'a-.b',
    'a b',
    'a/b',
    '../x',
    'a;b',
    '$(id)',
    'a\0b',
    'a\nb',
    'bücher.de',
  ],
  ...[
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '127.0.0.1.',
    '0x',
    'host.1',
    'host.0x1f',
    '[::1]',
  ],
  ...[`${'a'.repeat(64)}.b`, `${'a.'.repeat(127)}ab`, '::1%lo', '1.2.3.4:80'],
];

for (const text of neither) {
  test(`${JSON.stringify(text.slice(0, 40))} (${text.length}) is neither an address nor a name`, t => {
    const error = t.throws(() => parseTargetHost(text), { instanceOf: EntremiseError });
    t.is(error?.code, 'bad-request');
  });
}

test('an address given as a host is the address', t => {
  t.like(parseTargetHost('::ffff:10.0.0.1'), { kind: 'address', address: { text: '10.0.0.1' } });
});
