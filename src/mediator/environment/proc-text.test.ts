import test from 'ava';
import fc from 'fast-check';
import {
  parseAssignment,
  parseDelegatedPrefixes,
  parseInterfaceNames,
  parseIpv4Routes,
  parseIpv6Addresses,
  parseIpv6Routes,
  parseLocalIpv4,
  parseUuid,
} from './proc-text.ts';

/** Captured on an x86 gateway with a LAN bridge, an uplink by DHCP and a blackholed network. */
const route = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth1	00000000	FE0200C0	0003	0	0	0	00000000	0	0	0
br-lan	0001A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
*	000AA8C0	00000000	0200	0	0	0	00FFFFFF	0	0	0
`;

test('IPv4 routes, in either byte order; rejected ones are none', t => {
  const expected = [
    { destination: '0.0.0.0', prefixLength: 0, gateway: '192.0.2.254', interface: 'eth1' },
    { destination: '192.168.1.0', prefixLength: 24, interface: 'br-lan' },
    { destination: '192.0.2.0', prefixLength: 24, interface: 'eth1' },
  ];
  t.deepEqual(parseIpv4Routes(route, 'LE'), expected);
  const bigEndian = route.replaceAll(/\b([0-9A-F]{2})([0-9A-F]{2})([0-9A-F]{2})([0-9A-F]{2})\b/g, '$4$3$2$1');
  t.deepEqual(parseIpv4Routes(bigEndian, 'BE'), expected);
});

const ipv6Route = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000004 00000000 80200001       lo
fd000000000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001     eth0
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`;

test("IPv6 routes, without the kernel's own for local and multicast addresses", t => {
  t.deepEqual(parseIpv6Routes(ipv6Route), [
    { destination: 'fd00::', prefixLength: 64, interface: 'eth0' },
    { destination: '::', prefixLength: 0, gateway: 'fd00::1', interface: 'eth0' },
  ]);
});

test('IPv6 prefixes that were delegated: what is not given on is refused by a route', t => {
  const refused = (hex: string, length: string, flags = '00200200') =>
    `${hex} ${length} 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 ${flags}       lo`;
  const text = [
    refused('20010db8471100000000000000000000', '38'),
    refused('20010db8471100000000000000000000', '38'),
    refused('20010db8471200000000000000000000', '38', '00000001'),
    refused('fd000000000000000000000000000000', '30'),
    refused('00000000000000000000000000000000', '00'),
    refused('20010db8471300000000000000000001', '80'),
  ].join('\n');
  t.deepEqual(parseDelegatedPrefixes(text), [{ address: '2001:db8:4711::', prefixLength: 56 }]);
});

test('IPv6 addresses', t => {
  const text = `00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000002 04 40 00 82     eth0
`;
  t.deepEqual(parseIpv6Addresses(text), [
    { interface: 'lo', address: '::1', prefixLength: 128 },
    { interface: 'eth0', address: 'fe80::fc:ff:fe00:1', prefixLength: 64 },
    { interface: 'eth0', address: 'fd00::2', prefixLength: 64 },
  ]);
});

test("every IPv4 address that is the machine's own, once", t => {
  const text = `Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
Local:
     |-- 192.0.2.2
        /32 host LOCAL
`;
  t.deepEqual(parseLocalIpv4(text), ['127.0.0.1', '192.0.2.2']);
});

test('names of interfaces', t => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets
    lo:  123       1    0    0    0     0          0         0      123       1
br-lan: 5       1    0    0    0     0          0         0      123       1
eth0.2:0       0    0    0    0     0          0         0      0       0
`;
  t.deepEqual(parseInterfaceNames(text), ['lo', 'br-lan', 'eth0.2']);
});

test('assignments, quoted or not', t => {
  const text = `NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nDISTRIB_DESCRIPTION='OpenWrt 24.10'\nEMPTY=\nID=debian\n`;
  t.is(parseAssignment(text, 'PRETTY_NAME'), 'Debian GNU/Linux 12 (bookworm)');
  t.is(parseAssignment(text, 'DISTRIB_DESCRIPTION'), 'OpenWrt 24.10');
  t.is(parseAssignment(text, 'ID'), 'debian');
  t.is(parseAssignment(text, 'EMPTY'), undefined);
  t.is(parseAssignment(text, 'ABSENT'), undefined);
});

test('the boot id', t => {
  t.is(
    parseUuid('5bcb1d99-d618-41ca-a5f6-2a15321e48d0\n')?.toString('hex'),
    '5bcb1d99d61841caa5f62a15321e48d0',
  );
  t.is(parseUuid('not one'), undefined);
});

test('no text makes a reader throw', t => {
  const parsers = [
    (text: string) => parseIpv4Routes(text, 'LE'),
    parseIpv6Routes,
    parseIpv6Addresses,
    parseLocalIpv4,
    parseInterfaceNames,
    (text: string) => parseAssignment(text, 'ID'),
    parseUuid,
  ];
  const pieces = fc.constantFrom(...route.split(/(\s)/), ...ipv6Route.split(/(\s)/), '|--', '/32 host LOCAL');
  const text = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 40 }).map(parts => parts.join('')),
  );
  fc.assert(fc.property(text, any => parsers.every(parse => [parse(any)].length === 1)));
  t.pass();
});
