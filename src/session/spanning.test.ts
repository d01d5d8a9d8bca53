import test from 'ava';
import fc from 'fast-check';
import { encodeFrame, frameBody } from '../wire/frame.ts';
import { frameFlag, frameType, maxBodyBytes, maxSpanningBytes } from '../wire/spec.ts';
import { LinkAssembler, linkFrames } from './spanning.ts';
import { parseFrame, pattern } from './testing/frames.ts';

const spanningTypes = [frameType.report, frameType.statement, frameType.presence];
const singleTypes = [
  frameType.attach,
  frameType.attached,
  frameType.detach,
  frameType.ping,
  frameType.goaway,
  frameType.service,
];

function part(type: number, bytes: Uint8Array, more: boolean) {
  const flags = more ? frameFlag.more : 0;
  return parseFrame(encodeFrame({ type, flags, label: 0, stream: 0 }, bytes));
}

test('P1.6: a message of up to 256 KiB crosses in parts, all but the last with MORE', t => {
  for (const length of [0, 1, maxBodyBytes, maxBodyBytes + 1, 2 * maxBodyBytes, maxSpanningBytes]) {
    const body = pattern(length);
    const frames = linkFrames(frameType.report, body).map(parseFrame);
    t.is(frames.length, Math.max(1, Math.ceil(length / maxBodyBytes)));
    const more = frames.map(({ flags }) => (flags & frameFlag.more) !== 0);
    t.deepEqual(more, [...more.slice(1).map(() => true), false]);
    const assembler = new LinkAssembler();
    const whole = frames.map(frame => assembler.receive(frame));
    t.deepEqual(whole.at(-1), body);
    t.true(whole.slice(0, -1).every(one => one === undefined));
  }
});

test('P1.6: a longer one cannot be sent, and one of another type fits a frame or cannot be sent', t => {
  t.throws(() => linkFrames(frameType.presence, Buffer.alloc(maxSpanningBytes + 1)), {
    code: 'frame-too-large',
  });
  for (const type of singleTypes) {
    t.is(linkFrames(type, Buffer.alloc(maxBodyBytes)).length, 1);
    t.throws(() => linkFrames(type, Buffer.alloc(maxBodyBytes + 1)), { code: 'frame-too-large' });
  }
});

test('P1.6: MORE on a message that is one frame is protocol-error', t => {
  for (const type of singleTypes) {
    const assembler = new LinkAssembler();
    t.throws(() => assembler.receive(part(type, pattern(3), true)), { code: 'protocol-error' });
  }
});

test('P1.6: parts that exceed 256 KiB together are refused with the part that does', t => {
  for (const type of spanningTypes) {
    const assembler = new LinkAssembler();
    let held = 0;
    for (; held + maxBodyBytes <= maxSpanningBytes; held += maxBodyBytes)
      t.is(assembler.receive(part(type, Buffer.alloc(maxBodyBytes), true)), undefined);
    const rest = maxSpanningBytes - held;
    t.throws(() => assembler.receive(part(type, Buffer.alloc(rest + 1), false)), { code: 'frame-too-large' });
  }
});

test('P1.6: a part with MORE is not empty, the last may be', t => {
  const assembler = new LinkAssembler();
  t.throws(() => assembler.receive(part(frameType.report, Buffer.alloc(0), true)), {
    code: 'protocol-error',
  });
  const other = new LinkAssembler();
  other.receive(part(frameType.report, pattern(3), true));
  t.deepEqual(other.receive(part(frameType.report, Buffer.alloc(0), false)), pattern(3));
});

test('P1.6: messages of different types may come between each other’s parts', t => {
  const lengths = fc.array(fc.integer({ min: 0, max: 60_000 }), { minLength: 1, maxLength: 6 });
  const inOrder = fc.array(fc.nat(2), { minLength: 60, maxLength: 60 });
  fc.assert(
    fc.property(fc.tuple(lengths, lengths, lengths), inOrder, (messages, order) => {
      const queues = spanningTypes.map((type, index) =>
        (messages[index] ?? []).flatMap((length, seed) => linkFrames(type, pattern(length, seed))),
      );
      const assembler = new LinkAssembler();
      const came: Buffer[][] = [[], [], []];
      for (const index of order) deliverOne(index);
      for (const index of [0, 1, 2]) while ((queues[index]?.length ?? 0) > 0) deliverOne(index);
      return messages.every((sent, index) =>
        sent.every((length, seed) => came[index]?.[seed]?.equals(pattern(length, seed))),
      );

      function deliverOne(index: number): void {
        const bytes = queues[index]?.shift();
        if (bytes === undefined) return;
        // The piece that it came in is used again by the transport.
        const frame = parseFrame(bytes);
        const whole = assembler.receive(frame);
        if (whole !== undefined) came[index]?.push(Buffer.from(whole));
        frameBody(frame).fill(0);
      }
    }),
    { numRuns: 30 },
  );
  t.pass();
});
