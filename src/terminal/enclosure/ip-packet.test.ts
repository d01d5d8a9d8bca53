import test from 'ava';
import fc from 'fast-check';
import { ipToBytes } from '../../wire/ip.ts';
import { datagramPacket, isLoopback, readBeginning, segmentsOf, withTcpChecksum } from './ip-packet.ts';

/** A SYN as Linux has sent it to itself over loopback: the checksum is that of the pseudo-header alone. */
const syn4 = Buffer.from(
  '4500003ca9ae40004006' +
    '0d5ac0000201c0a8010a' +
    'c16c0050a1b2c3d400000000a002ffd7' +
    '00000000' +
    '0204ffd70402080a0000000a0000000001030307',
  'hex',
);

/** RFC 1071, by another road than the product's: words, one by one, with the carry taken in at once. */
function sumOf(...pieces: readonly Uint8Array[]): number {
  const bytes = Buffer.concat(
    pieces.map(piece => (piece.length % 2 === 0 ? piece : Buffer.concat([piece, Buffer.alloc(1)]))),
  );
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes.readUInt16BE(at);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

function sumWithPseudoHeader(source: string, target: string, protocol: number, body: Buffer): number {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return sumOf(ipToBytes(source), ipToBytes(target), length, Buffer.from([0, 0, 0, protocol]), body);
}

test('a SYN is read with its ends', t => {
  t.deepEqual(readBeginning(syn4), {
    kind: 'syn',
    ends: { source: '192.0.2.1', sourcePort: 0xc16c, target: '192.168.1.10', targetPort: 80 },
  });
});

test('a SYN that is given back has a checksum that holds, and is the same otherwise', t => {
  const packet = withTcpChecksum(syn4);
  t.is(sumWithPseudoHeader('192.0.2.1', '192.168.1.10', 6, packet.subarray(20)), 0xffff);
  packet.writeUInt16BE(0, 36);
  t.deepEqual(packet, syn4);
  t.throws(() => withTcpChecksum(Buffer.alloc(30, 0x45)), { instanceOf: RangeError });
});

const ends = [
  { source: '192.168.1.10', sourcePort: 53, target: '192.0.2.1', targetPort: 40_000 },
  { source: 'fd00:1::10', sourcePort: 53, target: '2001:db8::1', targetPort: 40_000 },
];

for (const each of ends)
  test(`datagrams from ${each.source} are written so that they are read alike, with sums that hold`, t => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), payload => {
        const packet = datagramPacket(each, payload);
        const bodyAt = each.source.includes(':') ? 40 : 20;
        t.is(sumWithPseudoHeader(each.source, each.target, 17, packet.subarray(bodyAt)), 0xffff);
        if (bodyAt === 20) t.is(sumOf(packet.subarray(0, 20)), 0xffff);
        t.deepEqual(readBeginning(packet), { kind: 'datagram', ends: each, payload: Buffer.from(payload) });
      }),
      { numRuns: 50 },
    );
  });

test('the longest datagram is written', t => {
  const [ipv4] = ends;
  if (ipv4 === undefined) return t.fail();
  t.is(datagramPacket(ipv4, Buffer.alloc(65_507)).length, 65_535);
});

test('whatever is cut, a fragment, or of another protocol is nothing that begins', t => {
  const spoilt = (at: number, value: number) => {
    const packet = Buffer.from(syn4);
    packet[at] = value;
    return packet;
  };
  for (let length = 0; length < syn4.length; length++)
    t.is(readBeginning(syn4.subarray(0, length)), undefined, String(length));
  t.is(readBeginning(spoilt(6, 0x20)), undefined, 'more fragments');
  t.is(readBeginning(spoilt(7, 1)), undefined, 'a later fragment');
  t.is(readBeginning(spoilt(9, 132)), undefined, 'SCTP');
  t.is(readBeginning(spoilt(0, 0x44)), undefined, 'a header that is too short');
  t.is(readBeginning(spoilt(0, 0x4f)), undefined, 'a header that leaves no room');
  t.is(readBeginning(spoilt(0, 0x55)), undefined, 'another version');
});

test('no bytes of any kind make it throw', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.constantFrom(0x45, 0x4f, 0x60), (bytes, first) => {
      const packet = Buffer.from([first, ...bytes]);
      t.notThrows(() => readBeginning(packet));
    }),
  );
});

test('a payload that stands for many is taken apart, the last piece as long as it is', t => {
  const payload = Buffer.from('abcdefgh');
  t.deepEqual(segmentsOf(payload, 0), [payload]);
  t.deepEqual(segmentsOf(payload, 8), [payload]);
  t.deepEqual(segmentsOf(payload, 3).map(String), ['abc', 'def', 'gh']);
  t.deepEqual(segmentsOf(Buffer.alloc(0), 3), [Buffer.alloc(0)]);
});

test('loopback is told apart', t => {
  for (const address of ['127.0.0.1', '127.255.0.1', '::1']) t.true(isLoopback(address));
  for (const address of ['128.0.0.1', '192.168.1.10', 'fd00:1::1']) t.false(isLoopback(address));
});
