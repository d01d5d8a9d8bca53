import test from 'ava';
import fc from 'fast-check';
import { type ChannelSecret, channelKeys } from '../session/channel-keys.ts';
import { encodePacketBody, maxPacketsPerKey, type PacketBody, packetKind } from '../wire/packet.ts';
import { type PacketSuite, packetSuites } from '../wire/packet-key.ts';
import { refusalOf } from '../wire/testing/refusal.ts';
import { readGroup, withBytes, withHex } from '../wire/testing/vectors.ts';
import { oldEpochMs, PacketOpener, PacketSealer } from './packet-seal.ts';
import type { PacketVector } from './testing/golden-packets.ts';

interface Key {
  readonly key: string;
  readonly iv: string;
}

interface KeyVector extends ChannelSecret {
  readonly memberToServer: Key;
  readonly serverToMember: Key;
}

interface Group {
  readonly bodies: readonly { readonly name: string; readonly value: PacketBody }[];
  readonly keys: readonly KeyVector[];
  readonly packets: readonly PacketVector[];
}

const { bodies, keys, packets } = readGroup('packets') as Group;

/** The keys as they are derived here, which the first test holds to the vectors. */
function derived(suite: PacketSuite, cid: number, epoch: number) {
  const vector = keys.find(one => one.suite === suite && one.cid === cid && one.epoch === epoch);
  if (vector === undefined) throw new Error(`no keys for ${suite} ${cid} ${epoch}`);
  return channelKeys(withBytes(vector) as ChannelSecret);
}

test('the keys of both directions are the golden ones', t => {
  t.deepEqual(new Set(keys.map(({ suite }) => suite)), new Set(packetSuites));
  for (const { suite, cid, epoch, memberToServer, serverToMember } of keys) {
    const made = derived(suite, cid, epoch);
    const hex = ({ key, iv }: { key: Buffer; iv: Buffer }) => ({
      key: key.toString('hex'),
      iv: iv.toString('hex'),
    });
    t.deepEqual([hex(made.memberToServer), hex(made.serverToMember)], [memberToServer, serverToMember]);
  }
});

for (const { name, suite, direction, epoch, cid, counter, hex } of packets) {
  test(`packet, ${name}, ${suite}, counter ${counter}: sealed and opened as the golden bytes`, t => {
    const value = bodies.find(body => body.name === name)?.value;
    const key = derived(suite, cid, epoch)[direction];
    const body = withBytes(value) as PacketBody;
    t.is(new PacketSealer(key, cid, epoch, counter).seal(body).toString('hex'), hex);
    const opened = new PacketOpener(key, epoch).open(Buffer.from(hex, 'hex'), 0);
    t.deepEqual(withHex(opened), value);
  });
}

const secret = {
  exporter: Buffer.alloc(32, 1),
  memberNonce: Buffer.alloc(32, 2),
  serverNonce: Buffer.alloc(32, 3),
  cid: 7,
  epoch: 0,
};

const alive: PacketBody = { kind: 'keepalive', id: 1 };

test('every packet of every kind comes back, and its copy is dropped', t => {
  for (const suite of packetSuites) {
    const { memberToServer: key } = channelKeys({ ...secret, suite });
    const sealer = new PacketSealer(key, 7, 0);
    const opener = new PacketOpener(key, 0);
    for (const { value } of bodies) {
      const body = withBytes(value) as PacketBody;
      const packet = sealer.seal(body);
      t.deepEqual(withHex(opener.open(packet, 0)), value);
      t.is(opener.open(packet, 0), undefined);
    }
    t.deepEqual(opener.drops, { unknown: 0, malformed: 0, forged: 0, replayed: bodies.length });
    t.is(sealer.sealed, bodies.length);
  }
});

test('a packet with any bit turned is dropped, and the good one is still opened after it', t => {
  for (const suite of packetSuites) {
    const { memberToServer: key } = channelKeys({ ...secret, suite });
    const packet = new PacketSealer(key, 7, 0).seal(alive);
    const opener = new PacketOpener(key, 0);
    for (let bit = 0; bit < packet.length * 8; bit += 1) {
      const changed = Buffer.from(packet);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      t.is(opener.open(changed, 0), undefined, `bit ${bit}`);
    }
    t.deepEqual(opener.open(packet, 0), alive);
  }
});

test('random bytes open nothing and throw nothing', t => {
  const { memberToServer: key } = channelKeys({ ...secret, suite: 'aes-128-gcm' });
  const opener = new PacketOpener(key, 0);
  const headed = fc
    .tuple(fc.constantFrom(...Object.values(packetKind)), fc.uint8Array({ maxLength: 80 }))
    .map(([kind, rest]) => Buffer.concat([Buffer.from([kind, 0, 1, 0, 0, 0, 0, 7, 0, 0, 0, 0]), rest]));
  const noise = fc.uint8Array({ maxLength: 100 }).map(bytes => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(headed, noise), packet => t.is(opener.open(packet, 0), undefined)),
    { numRuns: 2000 },
  );
});

test('a packet of the other direction, suite, cid or nonce is forged', t => {
  const suite = 'aes-128-gcm';
  const own = channelKeys({ ...secret, suite });
  const others = [
    own.serverToMember,
    channelKeys({ ...secret, suite, cid: 8 }).memberToServer,
    channelKeys({ ...secret, suite, epoch: 1 }).memberToServer,
    channelKeys({ ...secret, suite, serverNonce: Buffer.alloc(32, 4) }).memberToServer,
    channelKeys({ ...secret, suite, exporter: Buffer.alloc(32, 4) }).memberToServer,
  ];
  const opener = new PacketOpener(own.memberToServer, 0);
  for (const key of others) t.is(opener.open(new PacketSealer(key, 7, 0).seal(alive), 0), undefined);
  t.is(opener.drops.forged, others.length);
});

test('P7.3: the old epoch is opened until 10 s after the first packet of the next, with its own window', t => {
  const suite = 'chacha20-poly1305';
  const old = channelKeys({ ...secret, suite }).memberToServer;
  const next = channelKeys({ ...secret, suite, epoch: 1 }).memberToServer;
  const opener = new PacketOpener(old, 0);
  const oldSealer = new PacketSealer(old, 7, 0);
  const first = oldSealer.seal(alive);
  const second = oldSealer.seal(alive);
  const third = oldSealer.seal(alive);
  const fourth = oldSealer.seal(alive);
  t.deepEqual(opener.open(first, 0), alive);
  opener.await(next, 1);
  const nextMs = 3_600_000;
  t.deepEqual(opener.open(second, nextMs), alive, 'nobody has used the next one yet');
  t.is(opener.epoch, 0);
  t.deepEqual(opener.open(new PacketSealer(next, 7, 1).seal(alive), nextMs), alive);
  t.is(opener.epoch, 1);
  t.deepEqual(opener.open(third, nextMs + oldEpochMs - 1), alive);
  t.is(opener.open(third, nextMs + oldEpochMs - 1), undefined);
  t.is(opener.open(fourth, nextMs + oldEpochMs), undefined);
});

test('a key seals what it may and then nothing', t => {
  const { memberToServer: key } = channelKeys({ ...secret, suite: 'aes-128-gcm' });
  const sealer = new PacketSealer(key, 7, 0, maxPacketsPerKey - 1);
  const last = sealer.seal(alive);
  t.deepEqual(new PacketOpener(key, 0).open(last, 0), alive);
  t.is(
    refusalOf(() => sealer.seal(alive)),
    'limit',
  );
});

test('no two packets of a key have one nonce', t => {
  const { memberToServer: key } = channelKeys({ ...secret, suite: 'aes-128-gcm' });
  const sealer = new PacketSealer(key, 7, 0);
  const sealed = new Set(
    Array.from({ length: 300 }, () => sealer.seal(alive).subarray(8, 16).toString('hex')),
  );
  t.is(sealed.size, 300);
  t.is(encodePacketBody(alive).length, 23);
});
