import test from 'ava';
import fc from 'fast-check';
import { ipFamilyOf } from '../ip.ts';
import { maxDatagramBytes } from '../spec.ts';
import { binaryCodecs } from '../testing/codecs.ts';
import { randomAddress } from '../testing/random-values.ts';
import { refusalOf } from '../testing/refusal.ts';
import { decodeData, decodeDatagram, encodeDatagram, encodeReset } from './binary.ts';

const offset = fc.maxSafeNat();
const u32 = fc.nat(0xffff_ffff);
const contents = fc.uint8Array({ minLength: 1, maxLength: 60 }).map(bytes => Buffer.from(bytes));

const values = {
  data: fc.record({ offset, bytes: contents }),
  fin: fc.record({ offset }),
  reset: fc.record({ reason: fc.nat(255) }),
  window: fc.record({ received: offset, limit: offset, yields: u32 }),
  credit: fc.record({ allowed: offset, linkReceived: offset }),
  yield: fc.record({ upTo: offset }),
  datagram: fc
    .record(
      {
        port: u32,
        peerAddress: randomAddress,
        peerNumber: fc.nat(0xffff),
        localAddress: randomAddress,
        bytes: contents,
      },
      { requiredKeys: ['port', 'peerAddress', 'peerNumber', 'bytes'] },
    )
    .filter(
      ({ peerAddress, localAddress = peerAddress }) => ipFamilyOf(peerAddress) === ipFamilyOf(localAddress),
    ),
};

for (const name of Object.keys(values) as (keyof typeof values)[]) {
  test(`${name}: random valid values come back as they were`, t => {
    const some: fc.Arbitrary<unknown> = values[name];
    fc.assert(
      fc.property(some, value => {
        t.deepEqual(binaryCodecs[name].fromBytes(binaryCodecs[name].toBytes(value)), {
          ...(value as object),
        });
      }),
    );
  });
}

test('an offset beyond 2^53 - 1 is refused wherever one stands', t => {
  const beyond = Buffer.from('0020000000000000', 'hex');
  const rest = Buffer.alloc(12);
  t.is(
    refusalOf(() => decodeData(Buffer.concat([beyond, rest]))),
    'bad-request',
  );
  t.is(
    refusalOf(() => binaryCodecs.fin.fromBytes(beyond)),
    'bad-request',
  );
  t.is(
    refusalOf(() => binaryCodecs.yield.fromBytes(beyond)),
    'bad-request',
  );
  t.is(
    refusalOf(() => binaryCodecs.window.fromBytes(Buffer.concat([beyond, rest]))),
    'bad-request',
  );
  t.is(
    refusalOf(() => binaryCodecs.credit.fromBytes(Buffer.concat([Buffer.alloc(8), beyond]))),
    'bad-request',
  );
});

test('DATA and DATAGRAM share memory with the body they were read from', t => {
  const body = Buffer.alloc(20, 4);
  body.fill(0, 0, 8);
  t.is(decodeData(body).bytes.buffer, body.buffer);
  t.is(decodeDatagram(Buffer.from('000000090413cd0102030405', 'hex')).bytes.toString('hex'), '05');
});

const datagram = { port: 1, peerAddress: '192.168.1.20', peerNumber: 1 };

test('the largest datagram of IPv4 goes, one byte more is `frame-too-large`', t => {
  const largest = encodeDatagram({ ...datagram, bytes: Buffer.alloc(maxDatagramBytes) });
  t.is(decodeDatagram(largest).bytes.length, maxDatagramBytes);
  t.is(
    refusalOf(() => encodeDatagram({ ...datagram, bytes: Buffer.alloc(maxDatagramBytes + 1) })),
    'frame-too-large',
  );
  t.is(
    refusalOf(() => decodeDatagram(Buffer.concat([largest, Buffer.alloc(1)]))),
    'bad-request',
  );
});

test('addresses of two families, in other spellings, and unknown shapes are refused', t => {
  const bytes = Buffer.alloc(0);
  t.is(
    refusalOf(() => encodeDatagram({ ...datagram, localAddress: 'fd00::1', bytes })),
    'bad-request',
  );
  t.is(
    refusalOf(() => encodeDatagram({ ...datagram, peerAddress: '127.1', bytes })),
    'bad-request',
  );
  for (const shape of [0, 5, 7, 0x10, 0x24, 0x84, 0xff]) {
    const body = encodeDatagram({ ...datagram, bytes: Buffer.alloc(40) });
    body.writeUInt8(shape, 4);
    t.is(
      refusalOf(() => decodeDatagram(body)),
      'bad-request',
      `shape ${shape}`,
    );
  }
});

test('a reason that is no u8 cannot be written', t => {
  t.throws(() => encodeReset(256), { instanceOf: RangeError });
});
