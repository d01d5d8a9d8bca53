import test from 'ava';
import fc from 'fast-check';
import { encodeFrame, type Frame } from '../wire/frame.ts';
import type { Datagram } from '../wire/messages/binary.ts';
import { frameFlag, frameType, maxBodyBytes } from '../wire/spec.ts';
import { DatagramAssembler, DatagramQueue } from './datagram-queue.ts';
import { parseFrame, pattern } from './testing/frames.ts';

const kib = 1024;

function datagram(length: number, peerNumber = 53): Datagram {
  return { port: 7, peerAddress: '2001:db8::9', peerNumber, bytes: pattern(length, peerNumber) };
}

function takeAll(queue: DatagramQueue): Frame[] {
  const frames: Frame[] = [];
  for (let bytes = queue.take(); bytes !== undefined; bytes = queue.take()) frames.push(parseFrame(bytes));
  return frames;
}

function assemble(frames: readonly Frame[]): Datagram[] {
  const assembler = new DatagramAssembler();
  return frames.flatMap(frame => {
    const came = assembler.receive(frame);
    return came === undefined || 'mark' in came ? [] : [came];
  });
}

function part(bytes: Uint8Array, more: boolean): Frame {
  const flags = more ? frameFlag.more : 0;
  return parseFrame(encodeFrame({ type: frameType.datagram, flags, label: 3, stream: 0 }, bytes));
}

test('P5.9: datagrams of 0 to 65,507 bytes cross whole and in order, with both addresses', t => {
  const lengths = fc.array(fc.integer({ min: 0, max: 65_507 }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(lengths, sizes => {
      const queue = new DatagramQueue();
      const sent = sizes.map((size, index) => ({ ...datagram(size, index), localAddress: '2001:db8::1' }));
      for (const one of sent) queue.add(3, one);
      const came = assemble(takeAll(queue));
      t.deepEqual(came, sent);
      return queue.waitingBytes === 0;
    }),
    { numRuns: 40 },
  );
});

test('P2.3: when more than 256 KiB wait the oldest whole ones are dropped and counted', t => {
  const queue = new DatagramQueue();
  for (let number = 0; number < 20; number++) queue.add(3, datagram(60_000, number));
  t.true(queue.waitingBytes <= 256 * kib);
  const came = assemble(takeAll(queue));
  t.is(came.length + queue.dropped, 20);
  t.deepEqual(
    came.map(({ peerNumber }) => peerNumber),
    came.map((_, index) => queue.dropped + index),
  );
});

test('P2.3: one that is being written is never cut short by later ones', t => {
  const queue = new DatagramQueue();
  queue.add(3, datagram(60_000, 1));
  const first = queue.take();
  for (let number = 2; number < 20; number++) queue.add(3, datagram(60_000, number));
  const came = assemble([...(first === undefined ? [] : [parseFrame(first)]), ...takeAll(queue)]);
  t.is(came[0]?.peerNumber, 1);
  t.true(queue.dropped > 0);
});

test('what waits is forgotten with its label, the rest of a half-written one too', t => {
  const queue = new DatagramQueue();
  queue.add(3, datagram(60_000));
  queue.take();
  queue.add(3, datagram(10));
  queue.clear();
  t.is(queue.take(), undefined);
  t.is(queue.waitingBytes, 0);
});

test('P5.9: parts that are passed on wait until the last is there, and go as they came', t => {
  const source = new DatagramQueue();
  source.add(3, datagram(40_000));
  const frames = takeAll(source);
  const queue = new DatagramQueue();
  for (const { bytes } of frames.slice(0, -1)) {
    queue.addPart(bytes, true);
    t.is(queue.take(), undefined);
  }
  const last = frames.at(-1)?.bytes ?? Buffer.alloc(0);
  queue.addPart(last, false);
  t.deepEqual(assemble(takeAll(queue)), [datagram(40_000)]);
});

test('P5.9: parts without end are refused before they cost memory, empty ones too', t => {
  for (const bytes of [maxBodyBytes, 1, 0]) {
    const queue = new DatagramQueue();
    const endless = () => {
      for (let count = 0; count < 1_000_000; count++)
        queue.addPart(part(Buffer.alloc(bytes), true).bytes, true);
    };
    t.throws(endless, { code: 'protocol-error' });
  }
});

test('P5.9: a datagram longer than one can be is refused, wherever its parts are cut', t => {
  const assembler = new DatagramAssembler();
  const endless = () => {
    for (let count = 0; count < 1000; count++) assembler.receive(part(Buffer.alloc(16_000), true));
  };
  t.throws(endless, { code: 'frame-too-large' });
  t.throws(() => new DatagramAssembler().receive(part(Buffer.alloc(0), true)), { code: 'protocol-error' });
});

test('P1.9: a malformed datagram is bad-request', t => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(6), Buffer.from('0000000a05003500000000', 'hex')]) {
    t.throws(() => new DatagramAssembler().receive(part(bytes, false)), { code: 'bad-request' });
  }
});

test('the assembled datagram does not share memory with the parts that have come before the last', t => {
  const queue = new DatagramQueue();
  queue.add(3, datagram(40_000));
  const assembler = new DatagramAssembler();
  const came = takeAll(queue).flatMap(frame => {
    const whole = assembler.receive(frame);
    if (whole === undefined) frame.bytes.fill(0);
    return whole ?? [];
  });
  t.deepEqual(came, [datagram(40_000)]);
});
