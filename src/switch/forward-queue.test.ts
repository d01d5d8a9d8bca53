import test from 'ava';
import fc from 'fast-check';
import { encodeFrame, type Frame, FrameDecoder } from '../wire/frame.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { ForwardQueue } from './forward-queue.ts';
import { classify } from './frame-class.ts';

function frameOf(type: number, stream: number, body: Uint8Array, flags = 0): Frame {
  const bytes = encodeFrame({ type, flags, label: 1, stream }, body);
  return { type, flags, label: 1, stream, bytes };
}

/** A queue for label 8, what it tells its owner, and what it gives, in the scheduler's order. */
function queue() {
  const told = { left: 0, held: 0, dropped: 0, credit: [] as Buffer[] };
  const made = new ForwardQueue(8, {
    onLeft: bytes => {
      told.left += bytes;
    },
    takeCredit: () => told.credit.shift(),
    onHeld: delta => {
      told.held += delta;
    },
    onDatagramsDropped: count => {
      told.dropped += count;
    },
  });
  const take = (): Frame | undefined => {
    const bytes = made.takeUrgent() ?? made.takeControl() ?? made.takeData();
    const frames: Frame[] = [];
    if (bytes !== undefined) new FrameDecoder().push(Buffer.from(bytes), frame => frames.push(frame));
    return frames[0];
  };
  const add = (frame: Frame) => made.add(frame, classify(frame, frame.type === 1 ? 'terminal' : 'mediator'));
  const takeAll = () => {
    const frames: Frame[] = [];
    for (let frame = take(); frame !== undefined; frame = take()) frames.push(frame);
    return frames;
  };
  return { made, told, add, take, takeAll };
}

test('P2.1: WINDOW overtakes stream 0, stream 0 overtakes data; every frame has the new label', t => {
  const { add, takeAll } = queue();
  add(frameOf(frameType.data, 2, Buffer.alloc(30)));
  add(frameOf(frameType.result, 0, Buffer.alloc(30)));
  add(frameOf(frameType.window, 2, Buffer.alloc(20)));
  const frames = takeAll();
  t.deepEqual(
    frames.map(({ type }) => type),
    [frameType.window, frameType.result, frameType.data],
  );
  t.true(frames.every(({ label }) => label === 8));
});

test('P2.1: FIN and RESET do not overtake the DATA of their stream', t => {
  const { add, takeAll } = queue();
  for (const type of [frameType.data, frameType.data, frameType.fin]) add(frameOf(type, 2, Buffer.alloc(8)));
  for (const type of [frameType.data, frameType.reset]) add(frameOf(type, 4, Buffer.alloc(1)));
  const frames = takeAll();
  const of = (stream: number) => frames.filter(frame => frame.stream === stream).map(({ type }) => type);
  t.deepEqual(of(2), [frameType.data, frameType.data, frameType.fin]);
  t.deepEqual(of(4), [frameType.data, frameType.reset]);
});

test('P2.1: streams share evenly by bytes, whatever the size of their frames', t => {
  const { add, take } = queue();
  for (let count = 0; count < 400; count++) add(frameOf(frameType.data, 2, Buffer.alloc(1000)));
  for (let count = 0; count < 40; count++) add(frameOf(frameType.data, 4, Buffer.alloc(16_000)));
  const bytes = { 2: 0, 4: 0 } as Record<number, number>;
  for (let total = 0; total < 300_000; ) {
    const frame = take();
    if (frame === undefined) return t.fail('the queue ran dry');
    bytes[frame.stream] = (bytes[frame.stream] ?? 0) + frame.bytes.length;
    total += frame.bytes.length;
  }
  t.true(Math.abs((bytes[2] ?? 0) - (bytes[4] ?? 0)) <= 33_000, JSON.stringify(bytes));
});

test('P2.3: what left is counted without RESET and DATAGRAM, and without the byte of a refused COMMAND', t => {
  const { add, told, takeAll, made } = queue();
  add(frameOf(frameType.reset, 2, Buffer.alloc(1)));
  add(frameOf(frameType.datagram, 0, Buffer.alloc(500)));
  made.add(frameOf(frameType.command, 0, Buffer.alloc(41), frameFlag.denied), 'control');
  add(frameOf(frameType.data, 2, Buffer.alloc(88)));
  takeAll();
  t.is(told.left, 12 + 40 + 12 + 88);
  t.is(told.held, 0);
  t.is(made.heldBytes, 0);
});

test('CREDIT goes before everything else', t => {
  const { add, told, take } = queue();
  add(frameOf(frameType.window, 2, Buffer.alloc(20)));
  told.credit.push(encodeFrame({ type: frameType.credit, flags: 0, label: 8, stream: 0 }, Buffer.alloc(16)));
  t.is(take()?.type, frameType.credit);
  t.is(take()?.type, frameType.window);
});

test('order is kept per stream and class, nothing is lost or doubled, whatever comes', t => {
  const types = [frameType.data, frameType.fin, frameType.reset, frameType.window, frameType.event, 0x55];
  const script = fc.array(
    fc.record({
      take: fc.boolean(),
      type: fc.constantFrom(...types),
      stream: fc.integer({ min: 1, max: 4 }),
      length: fc.constantFrom(8, 9, 100, 600, 4084, 4090, 16_000),
    }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(script, steps => {
      const { add, take, takeAll, told } = queue();
      const inOrder = new Map<string, number[]>();
      const out: Frame[] = [];
      const laneOf = (type: number, stream: number) =>
        type === frameType.window ? 'urgent' : type === frameType.event ? 'control' : `stream ${stream}`;
      steps.forEach(({ type, stream, length, take: takeOne }, number) => {
        const body = Buffer.alloc(length);
        body.writeUInt32BE(number, 0);
        add(frameOf(type, type === frameType.event ? 0 : stream, body));
        const lane = laneOf(type, stream);
        inOrder.set(lane, [...(inOrder.get(lane) ?? []), number]);
        const frame = takeOne ? take() : undefined;
        if (frame !== undefined) out.push(frame);
      });
      out.push(...takeAll());
      const came = new Map<string, number[]>();
      for (const { type, stream, bytes } of out) {
        const lane = laneOf(type, stream);
        came.set(lane, [...(came.get(lane) ?? []), bytes.readUInt32BE(12)]);
      }
      t.deepEqual(came, new Map([...inOrder].sort(byKeyOf(came))));
      t.is(told.held, 0);
    }),
    { numRuns: 200 },
  );
});

/** Brings the lanes of one map into the order of another, which says nothing here. */
function byKeyOf(order: ReadonlyMap<string, unknown>) {
  const keys = [...order.keys()];
  return ([a]: [string, unknown], [b]: [string, unknown]) => keys.indexOf(a) - keys.indexOf(b);
}
