import test from 'ava';
import fc from 'fast-check';
import {
  decodePacketBody,
  decodePacketHeader,
  encodePacketBody,
  encodePacketHeader,
  type PacketBody,
  type PacketKindName,
  packetKind,
  packetOverheadBytes,
  probeBytes,
} from './packet.ts';
import { refusalOf } from './testing/refusal.ts';
import { readGroup, withBytes, withHex } from './testing/vectors.ts';

interface BodyVector {
  readonly name: string;
  readonly value: PacketBody;
  readonly hex: string;
}

const { bodies } = readGroup('packets') as { readonly bodies: readonly BodyVector[] };

for (const { name, value, hex } of bodies) {
  test(`packet body, ${name}: the golden bytes in both directions`, t => {
    const written = encodePacketBody(withBytes(value) as PacketBody);
    t.is(written.toString('hex'), hex);
    t.deepEqual(withHex(decodePacketBody(value.kind, Buffer.from(hex, 'hex'))), value);
  });
}

/** Kinds whose last field is bytes that end where the packet does, or whose length is what they say. */
const openEnded: readonly PacketKindName[] = ['datagram', 'part', 'size'];

for (const { name, value, hex } of bodies.filter(({ value }) => !openEnded.includes(value.kind))) {
  test(`packet body, ${name}: a byte less or more is refused`, t => {
    const bytes = Buffer.from(hex, 'hex');
    const refusal = (changed: Buffer) => refusalOf(() => decodePacketBody(value.kind, changed));
    t.is(refusal(bytes.subarray(0, -1)), 'bad-request');
    t.is(refusal(Buffer.concat([bytes, Buffer.of(0)])), 'bad-request');
  });
}

test('every kind of packet has a vector', t => {
  const shown = new Set(bodies.map(({ value }) => value.kind));
  t.deepEqual(
    Object.keys(packetKind).filter(kind => !shown.has(kind as PacketKindName)),
    [],
  );
});

test('no answer of the server is longer than what it answers', t => {
  const lengthOf = (kind: PacketKindName) => {
    const lengths = bodies.filter(({ value }) => value.kind === kind).map(({ hex }) => hex.length / 2);
    return { shortest: Math.min(...lengths), longest: Math.max(...lengths) };
  };
  for (const [question, answer] of [
    ['probe', 'challenge'],
    ['keepalive', 'alive'],
    ['echo-after', 'echo'],
    ['size', 'sized'],
  ] as const)
    t.true(lengthOf(answer).longest <= lengthOf(question).shortest, question);
  t.is(lengthOf('probe').shortest + packetOverheadBytes, probeBytes);
});

test('a header comes back as it was written', t => {
  fc.assert(
    fc.property(
      fc.constantFrom(...(Object.keys(packetKind) as PacketKindName[])),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: 2 ** 30 - 1 }),
      (kind, epoch, cid, counter) => {
        const header = { kind, epoch, cid, counter };
        const packet = Buffer.concat([encodePacketHeader(header), Buffer.alloc(16)]);
        t.deepEqual(decodePacketHeader(packet), header);
      },
    ),
  );
});

test('another version, a used zero, an unknown kind, a counter past the limit and a short packet are no packet', t => {
  const header = { kind: 'keepalive', epoch: 0, cid: 1, counter: 0 } as const;
  const packet = Buffer.concat([encodePacketHeader(header), Buffer.alloc(16)]);
  t.deepEqual(decodePacketHeader(packet), header);
  for (const [at, value] of [
    [0, 0],
    [0, 0x0d],
    [2, 0],
    [2, 2],
    [3, 1],
    [8, 1],
    [12, 0x40],
  ] as const) {
    const changed = Buffer.from(packet);
    changed[at] = value;
    t.is(decodePacketHeader(changed), undefined, `byte ${at} = ${value}`);
  }
  t.is(decodePacketHeader(packet.subarray(0, 31)), undefined);
});

test('whatever stands behind a good tag is a body or refused, never a fault', t => {
  fc.assert(
    fc.property(
      fc.constantFrom(...(Object.keys(packetKind) as PacketKindName[])),
      fc.uint8Array({ maxLength: 40 }),
      (kind, bytes) => {
        let body: PacketBody;
        try {
          body = decodePacketBody(kind, Buffer.from(bytes));
        } catch (thrown) {
          t.is(
            refusalOf(() => {
              throw thrown;
            }),
            'bad-request',
          );
          return;
        }
        t.deepEqual(encodePacketBody(body), Buffer.from(bytes), 'what is read is written as it was');
      },
    ),
    { numRuns: 2000 },
  );
});
