import test from 'ava';
import { encodeCbor } from '../wire/cbor.ts';
import { encodeFrame } from '../wire/frame.ts';
import { encodeData, encodeReset } from '../wire/messages/binary.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { ControlStream } from './control-stream.ts';
import { type AttachedPair, attachedPair, connectedStreams, record } from './testing/attached-pair.ts';
import { streamFrameText } from './testing/frames.ts';

function frameTo(type: number, stream: number, body: Uint8Array, flags = 0): Buffer {
  return encodeFrame({ type, flags, label: 2, stream }, body);
}

test('P3.8: a frame above the highest id of its maker is protocol-error, an ECHO too', t => {
  const pair = attachedPair();
  const { terminal } = connectedStreams(pair);
  for (const stream of [terminal.id + 2, 2]) {
    t.throws(() => pair.deliverTo('mediator', frameTo(frameType.data, stream, encodeData(0, Buffer.of(1)))), {
      code: 'protocol-error',
    });
    t.throws(
      () => pair.deliverTo('mediator', frameTo(frameType.reset, stream, encodeReset(26), frameFlag.echo)),
      { code: 'protocol-error' },
    );
  }
});

test('P3.8: every kind of frame of a stream that is past is dropped and counted', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  record(mediator);
  terminal.abort('aborted');
  pair.settle();
  const bodies: readonly (readonly [number, number])[] = [
    [frameType.data, 9],
    [frameType.fin, 8],
    [frameType.window, 20],
    [frameType.yield, 8],
  ];
  for (const [type, length] of bodies)
    pair.deliverTo('mediator', frameTo(type, terminal.id, Buffer.alloc(length)));
  t.is(pair.mediator.attachment.droppedFrames, bodies.length);
  t.is(pair.takeFrom('mediator'), undefined);
});

/** Makes the mediator read this as the terminal's first COMMAND. */
function sendCommandBody(pair: AttachedPair, fields: readonly (readonly [number, unknown])[]): void {
  const sealed = new ControlStream('terminal');
  sealed.setKeys(pair.terminalKeys);
  sealed.queue(frameType.command, encodeCbor(new Map(fields)));
  pair.deliverTo('mediator', sealed.take(2) ?? Buffer.alloc(0));
}

test('P1.5: a CONNECT of a later version is answered, and its early DATA does not end the label', t => {
  const pair = attachedPair();
  sendCommandBody(pair, [
    [0, 77],
    [1, 3],
    [2, 1],
    [8, 80],
    [11, 1],
    [12, 4096],
    [99, true],
  ]);
  t.notThrows(() => pair.deliverTo('mediator', frameTo(frameType.data, 1, encodeData(0, Buffer.of(1)))));
  t.deepEqual(pair.mediator.commands, []);
  t.is(pair.mediator.attachment.droppedFrames, 1);
  const frames: string[] = [];
  for (let frame = pair.takeFrom('mediator'); frame !== undefined; frame = pair.takeFrom('mediator'))
    frames.push(streamFrameText(frame.bytes));
  t.deepEqual(frames, [`type ${frameType.result}`, 'RESET 11']);
});

test('P1.5: a COMMAND without an id cannot be answered: bad-request', t => {
  const pair = attachedPair();
  t.throws(() => sendCommandBody(pair, [[1, 1]]), { code: 'bad-request' });
});

test('P4.5: RESETs that are never answered do not pile up for ever', t => {
  const pair = attachedPair();
  const refuseMany = () => {
    for (let id = 1; id < 20_000; id += 2) pair.mediator.attachment.refuseStream(id, 'limit');
  };
  t.throws(refuseMany, { code: 'limit' });
  t.true(pair.mediator.attachment.pendingResets <= 4096);
});

test('P4.5: a RESET for an id below the mark that is not known is answered by an ECHO of its reason, each time', t => {
  const pair = attachedPair();
  // Ids rise by any step: 1 was never made.
  pair.mediator.attachment.refuseStream(3, 'limit');
  t.is(streamFrameText(pair.takeBytes('mediator') ?? Buffer.alloc(0)), 'RESET 9');
  for (let count = 0; count < 2; count++) {
    pair.deliverTo('mediator', frameTo(frameType.reset, 1, encodeReset(25)));
    t.is(streamFrameText(pair.takeBytes('mediator') ?? Buffer.alloc(0)), 'RESET 25 ECHO');
  }
  t.is(pair.takeFrom('mediator'), undefined);
  t.is(pair.mediator.attachment.pendingResets, 1);
});

test('P4.5: RESETs that crossed, and were lost with their label on both ways, satisfy each other on the next', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  terminal.abort('aborted');
  mediator.abort('peer-reset');
  for (const end of ['terminal', 'mediator'] as const) while (pair.takeBytes(end) !== undefined);
  pair.mediator.attachment.suspend();
  pair.rebind();
  const frames: string[] = [];
  pair.settle(frame => {
    if (frame.type === frameType.reset) frames.push(streamFrameText(frame.bytes));
    return frame.bytes;
  });
  // The mediator is told before its own has gone again.
  t.deepEqual(frames, ['RESET 26', 'RESET 26 ECHO']);
  for (const { attachment } of [pair.terminal, pair.mediator])
    t.is(attachment.pendingResets + attachment.streamCount, 0);
});

test('P4.4: an end makes no more streams than RESUME can list', t => {
  const pair = attachedPair({ budgetBytes: 1 << 30 });
  let count = 0;
  while (count < 5000 && pair.terminal.attachment.createStream(0) !== undefined) count++;
  t.is(count, 4096);
});

test('P1.6: MORE may not stand on a message of stream 0', t => {
  const pair = attachedPair();
  pair.mediator.attachment.sendEvent({ kind: 'lost', port: 1, timeMs: 1, count: 1 });
  const frame = pair.takeFrom('mediator');
  const bytes = Buffer.from(frame?.bytes ?? Buffer.alloc(12));
  bytes[1] = frameFlag.more;
  t.throws(() => pair.deliverTo('terminal', bytes), { code: 'protocol-error' });
});
