import test from 'ava';
import { parseLeases } from './leases.ts';

test('dnsmasq: IPv4 with its hardware address, IPv6 without, names as given', t => {
  const text = [
    '1772366400 02:00:00:AA:BB:01 192.168.1.10 printer 01:02:00:00:aa:bb:01',
    '0 02:00:00:aa:bb:02 192.168.1.11 * *',
    '43200 02:00:00:aa:bb:03 192.168.1.12 no-clock *',
    'duid 00:01:00:01:2d:aa:bb:cc:02:00:00:aa:bb:00',
    '1772366400 11184897 fd00:1::10 printer 00:01:00:01:aa',
    '1772366400 06-02:00:00:aa:bb:04 192.168.1.13 odd-hardware *',
    '',
  ].join('\n');
  t.deepEqual(parseLeases(text), [
    {
      address: '192.168.1.10',
      hardwareAddress: '02:00:00:aa:bb:01',
      name: 'printer',
      untilMs: 1_772_366_400_000,
    },
    { address: '192.168.1.11', hardwareAddress: '02:00:00:aa:bb:02' },
    { address: '192.168.1.12', hardwareAddress: '02:00:00:aa:bb:03', name: 'no-clock' },
    { address: 'fd00:1::10', name: 'printer', untilMs: 1_772_366_400_000 },
    { address: '192.168.1.13', name: 'odd-hardware', untilMs: 1_772_366_400_000 },
  ]);
});

test('odhcpd: addresses of both families, no delegated prefixes, none that is over', t => {
  const text = [
    '# br-lan 020000aabb01 ipv4 printer 1772366400 c0a8010a 32 192.168.1.10/32',
    '192.168.1.10\tprinter.lan\tprinter',
    '# br-lan 00010001aabbccdd020000aabb01 1a2b3c printer -1 10 128 fd00:1::10/128 2001:db8::10/128',
    '# br-lan 00010001aabbccdd020000aabb02 1a2b3c - 1772366400 4 62 2001:db8:0:4::/62',
    '# br-lan 020000aabb03 ipv4 gone 0 c0a8010b 32 192.168.1.11/32',
    '# br-lan 020000aabb04 ipv4 broken\\x20bad_name 1772366400 c0a8010c 32 192.168.1.12/32',
  ].join('\n');
  t.deepEqual(
    parseLeases(text).map(({ address, hardwareAddress, name, interface: towards, untilMs }) =>
      [address, hardwareAddress, name, towards, untilMs].join(' '),
    ),
    [
      '192.168.1.10 02:00:00:aa:bb:01 printer br-lan 1772366400000',
      'fd00:1::10  printer br-lan ',
      '2001:db8::10  printer br-lan ',
      '192.168.1.12 02:00:00:aa:bb:04 bad_name br-lan 1772366400000',
    ],
  );
});

test('hostile lines and files: what is no lease is left out, names are cut, and there is an end', t => {
  const wrong = [
    'x'.repeat(100_000),
    '1772366400 02:00:00:aa:bb:01 192.168.1.10',
    '1772366400 02:00:00:aa:bb:01 192.168.1.999 name *',
    '1772366400 02:00:00:aa:bb:01 192.168.1.10 two names *',
    '99999999999999999999 02:00:00:aa:bb:01 192.168.1.10 late *',
    '# br-lan',
    '# br-lan 020000aabb01 ipv4 name soon c0a8010a 32 192.168.1.10/32',
    '\0\0\0',
  ].join('\n');
  t.deepEqual(parseLeases(wrong), []);
  const [long] = parseLeases(`0 02:00:00:aa:bb:01 192.168.1.10 ${'ä'.repeat(500)} *`);
  t.true(Buffer.byteLength(long?.name ?? '') <= 64 && (long?.name ?? '').startsWith('ää'));
  const many = Array.from({ length: 10_000 }, () => '0 02:00:00:aa:bb:01 192.168.1.10 a *').join('\n');
  t.is(parseLeases(many).length, 4096);
});
