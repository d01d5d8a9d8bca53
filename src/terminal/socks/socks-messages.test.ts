import test from 'ava';
import {
  datagramHeader,
  type Parsed,
  parseDatagram,
  parseGreeting,
  parsePassword,
  parseRequest,
  replyBytes,
  SocksFault,
} from './socks-messages.ts';

const hex = (text: string) => Buffer.from(text.replace(/ /g, ''), 'hex');

const messages: Record<string, readonly [(bytes: Buffer) => Parsed<unknown>, Buffer, unknown]> = {
  'methods (RFC 1928 §3)': [parseGreeting, hex('05 02 00 02'), hex('00 02')],
  'a password (RFC 1929 §2)': [
    parsePassword,
    hex('01 03 626f62 04 c3a97878'),
    { user: 'bob', password: 'éxx' },
  ],
  'CONNECT to an IPv4 address': [
    parseRequest,
    hex('05 01 00 01 c0a8010a 0050'),
    { command: 1, target: { host: '192.168.1.10', port: 80 } },
  ],
  'CONNECT to an IPv6 address': [
    parseRequest,
    hex('05 01 00 04 fd000000000000000000000000000010 01bb'),
    { command: 1, target: { host: 'fd00::10', port: 443 } },
  ],
  'CONNECT to a name': [
    parseRequest,
    hex('05 01 00 03 03 6e6173 1f90'),
    { command: 1, target: { host: 'nas', port: 8080 } },
  ],
  'an address of an unknown type': [parseRequest, hex('05 02 00 07 00'), { command: 2, target: undefined }],
};

for (const [what, [parse, bytes, value]] of Object.entries(messages)) {
  test(`${what} is read when it is whole, whatever stands behind it`, t => {
    for (let length = 1; length < bytes.length; length++) t.is(parse(bytes.subarray(0, length)), undefined);
    t.like(parse(Buffer.concat([bytes, hex('ff')])), { value });
  });
}

test('how many bytes a message has is told, so that what follows stays', t => {
  t.is(parseGreeting(hex('05 01 00 05 01'))?.bytes, 3);
  t.is(parsePassword(hex('01 01 61 01 62 05'))?.bytes, 5);
  t.is(parseRequest(hex('05 01 00 01 c0a8010a 0050 47 45 54'))?.bytes, 10);
});

test('another version is a fault, not a message that needs more bytes', t => {
  for (const [parse, text] of [
    [parseGreeting, '04 01'],
    [parsePassword, '05 01'],
    [parseRequest, '04 01 00 01'],
  ] as const)
    t.throws(() => parse(hex(text)), { instanceOf: SocksFault });
});

test('replies carry an address and a number (RFC 1928 §6)', t => {
  t.deepEqual(replyBytes(0, '192.168.1.1', 8080), hex('05 00 00 01 c0a80101 1f90'));
  t.deepEqual(replyBytes(0, 'fd00::1', 1), hex('05 00 00 04 fd000000000000000000000000000001 0001'));
  t.deepEqual(replyBytes(5), hex('05 05 00 01 00000000 0000'));
});

test('a datagram has its target in front (RFC 1928 §7)', t => {
  const bytes = hex('0000 00 01 c0a80101 0035 abcd');
  t.deepEqual(parseDatagram(bytes), { target: { host: '192.168.1.1', port: 53 }, content: hex('abcd') });
  t.deepEqual(Buffer.concat([datagramHeader('192.168.1.1', 53), hex('abcd')]), bytes);
  t.deepEqual(parseDatagram(bytes.subarray(0, 10))?.content, Buffer.alloc(0));
});

test('a fragment, a cut header and other junk are no datagrams', t => {
  t.is(parseDatagram(hex('0000 01 01 c0a80101 0035 abcd')), undefined);
  t.is(parseDatagram(hex('0001 00 01 c0a80101 0035 abcd')), undefined);
  t.is(parseDatagram(hex('0000 00 09 c0a80101 0035 abcd')), undefined);
  const whole = hex('0000 00 03 03 6e6173 0035');
  for (let length = 0; length < whole.length; length++)
    t.is(parseDatagram(whole.subarray(0, length)), undefined);
});
