import test from 'ava';
import fc from 'fast-check';
import { addressEntryText, entryCovering, faceNotAllowed, parseAddressEntry } from './address-entry.ts';
import { facts } from './authorise.fixture.ts';
import { addressFromBytes, type CanonicalAddress, canonicalAddress } from './target.ts';

test('entries are read and written', t => {
  for (const text of [
    'lan',
    'wildcard',
    'loopback',
    'gateway',
    'broadcast',
    '10.0.0.0/8',
    'fd00::1',
    '::/0',
  ]) {
    t.is(addressEntryText(parseAddressEntry(text)), text);
  }
  for (const text of ['', 'LAN', 'any', '*', 'lan ', '0', '127.1', 'private'])
    t.throws(() => parseAddressEntry(text));
});

// The slow twin: addresses as whole numbers, classes as intervals, every rule spelled out again.

const numberOf = ({ bytes }: CanonicalAddress) => bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);

function inside(text: string, address: CanonicalAddress): boolean {
  const [host = '', length] = text.split('/');
  const base = canonicalAddress(host);
  const bits = base.family === 4 ? 32 : 128;
  const size = 1n << BigInt(bits - Number(length ?? bits));
  const first = numberOf(base);
  return base.family === address.family && first <= numberOf(address) && numberOf(address) < first + size;
}

const naiveClasses: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  unspecified: ['0.0.0.0/8', '::'],
  'link-local': ['169.254.0.0/16', 'fe80::/10'],
  multicast: ['224.0.0.0/4', 'ff00::/8'],
  broadcast: [
    '255.255.255.255',
    '192.168.1.255',
    '192.168.1.0',
    '203.0.113.255',
    '203.0.113.0',
    '127.0.0.0',
    '127.255.255.255',
  ],
  gateway: ['192.168.1.1', 'fd00:1::1', 'fd00:1::', '203.0.113.9'],
};
const naiveLan = ['192.168.1.0/24', 'fd00:1::/64'];

function naiveFaceAllowed(entries: readonly string[], face: CanonicalAddress): boolean {
  const literals = entries.filter(entry => /[.:]/.test(entry));
  if (literals.some(entry => !entry.includes('/') && entry === face.text)) return true;
  const classes = Object.keys(naiveClasses).filter(name =>
    naiveClasses[name]?.some(each => inside(each, face)),
  );
  const isReserved =
    ['240.0.0.0/4', 'fec0::/10'].some(each => inside(each, face)) && !classes.includes('broadcast');
  if (isReserved) classes.push('reserved');
  if (classes.length > 0) return classes.every(name => entries.includes(name));
  if (entries.includes('lan') && naiveLan.some(each => inside(each, face))) return true;
  return literals.some(entry => inside(entry, face));
}

function naiveFaces(address: CanonicalAddress): CanonicalAddress[] {
  if (address.family === 4) return [address];
  const value = numberOf(address);
  const v4 = (number: bigint) =>
    addressFromBytes(Uint8Array.from([24n, 16n, 8n, 0n], shift => Number((number >> shift) & 255n)));
  const low = value & 0xffff_ffffn;
  const faces = [address];
  if (value >> 32n === 0n && value > 1n) faces.push(v4(low));
  if (['64:ff9b::/96', '::ffff:0:0:0/96'].some(each => inside(each, address))) faces.push(v4(low));
  if (inside('2002::/16', address)) faces.push(v4((value >> 80n) & 0xffff_ffffn));
  if (inside('2001::/32', address)) faces.push(v4((value >> 64n) & 0xffff_ffffn), v4(low ^ 0xffff_ffffn));
  if (((value >> 32n) & 0xfdff_ffffn) === 0x5efen) faces.push(v4(low));
  return faces;
}

function naiveAllowed(entries: readonly string[], address: CanonicalAddress): boolean {
  if (entries.includes(address.text)) return true;
  return naiveFaces(address).every(face => naiveFaceAllowed(entries, face));
}

const ipv4Texts = [
  ...[
    '127.0.0.1',
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '240.1.1.1',
    '192.168.1.1',
  ],
  ...[
    '192.168.1.0',
    '192.168.1.10',
    '192.168.1.255',
    '192.168.2.10',
    '203.0.113.9',
    '203.0.113.10',
    '10.0.0.1',
    '8.8.8.8',
  ],
];
const ipv4 = fc.oneof(fc.constantFrom(...ipv4Texts), fc.ipV4());
const hex = (text: string) =>
  Buffer.from(canonicalAddress(text).bytes)
    .toString('hex')
    .replace(/^(.{4})/, '$1:');
const inverted = (text: string) =>
  Buffer.from(canonicalAddress(text).bytes.map(byte => byte ^ 0xff))
    .toString('hex')
    .replace(/^(.{4})/, '$1:');
const address = fc
  .oneof(
    ipv4,
    fc.constantFrom(
      '::',
      '::1',
      'fd00:1::1',
      'fd00:1::',
      'fd00:1::10',
      'fe80::1',
      'ff02::1',
      'fec0::1',
      '2001:db8::1',
    ),
    ipv4.map(text => `::${hex(text)}`),
    ipv4.map(text => `::ffff:${hex(text)}`),
    ipv4.map(text => `::ffff:0:${hex(text)}`),
    ipv4.map(text => `64:ff9b::${hex(text)}`),
    ipv4.map(text => `2002:${hex(text)}::1`),
    fc.tuple(ipv4, ipv4).map(([server, client]) => `2001:0:${hex(server)}::${inverted(client)}`),
    ipv4.map(text => `fd00:1::200:5efe:${hex(text)}`),
    fc.ipV6().filter(text => !text.includes('.')),
  )
  .map(canonicalAddress);
const words = [
  'lan',
  'loopback',
  'unspecified',
  'link-local',
  'multicast',
  'broadcast',
  'gateway',
  'reserved',
];
const literals = [
  '0.0.0.0/0',
  '::/0',
  '192.168.0.0/16',
  '127.0.0.0/8',
  '64:ff9b::/96',
  '2002::/16',
  '2001::/32',
  'fd00::/8',
  ...ipv4Texts,
  'fd00:1::1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::1',
];
const entries = fc.uniqueArray(fc.constantFrom(...words, ...literals), { maxLength: 8 });

test('what entries allow is what a slow reference says', t => {
  let allowedCount = 0;
  fc.assert(
    fc.property(entries, address, (texts, each) => {
      const allowed = faceNotAllowed(texts.map(parseAddressEntry), each, facts) === undefined;
      if (allowed) allowedCount++;
      return allowed === naiveAllowed(texts, each);
    }),
    { numRuns: 20_000 },
  );
  t.true(allowedCount > 1000, `${allowedCount} allowed: the property says little`);
});

test('more entries never allow less, and never deny less', t => {
  fc.assert(
    fc.property(entries, entries, address, (some, more, each) => {
      const few = some.map(parseAddressEntry);
      const all = [...few, ...more.map(parseAddressEntry)];
      const allowsAsBefore =
        faceNotAllowed(few, each, facts) !== undefined || faceNotAllowed(all, each, facts) === undefined;
      const deniesAsBefore =
        entryCovering(few, each, facts) === undefined || entryCovering(all, each, facts) !== undefined;
      return allowsAsBefore && deniesAsBefore;
    }),
    { numRuns: 5_000 },
  );
  t.pass();
});

test('what the mediator allows, the server never refused, but for classes that both know', t => {
  fc.assert(
    fc.property(entries, address, (texts, each) => {
      const parsed = texts.map(parseAddressEntry);
      return (
        faceNotAllowed(parsed, each, facts) !== undefined ||
        faceNotAllowed(parsed, each, undefined) === undefined
      );
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});
