import test from 'ava';
import { encodeFrame, type Frame } from '../wire/frame.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { type HighestStreams, SwitchFigures } from './switch-figures.ts';

function frame(type: number, stream: number, flags = 0): Frame {
  const head = { type, flags, label: 2, stream };
  return { ...head, bytes: encodeFrame(head, Buffer.alloc(20)) };
}

test('a stream is counted once, whichever side makes it and whatever comes first; a datagram by its last part', t => {
  const figures = new SwitchFigures();
  const highest: HighestStreams = [0, 0];
  const { data, fin, reset, window, command, datagram } = frameType;
  for (const [type, stream] of [
    [data, 1],
    [data, 1],
    [fin, 1],
    [window, 2],
    [data, 2],
    [reset, 5],
    [command, 0],
  ] as const)
    figures.onFrame('terminal', frame(type, stream), highest);
  figures.onFrame('mediator', frame(datagram, 9, frameFlag.more), highest);
  figures.onFrame('mediator', frame(datagram, 9), highest);
  t.is(figures.streams, 3);
  t.deepEqual(figures.datagrams, { terminal: 0, mediator: 1 });
  t.deepEqual(figures.bytes, { terminal: 7 * 32, mediator: 2 * 32 });
});
