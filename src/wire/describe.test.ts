import test from 'ava';
import { describeFrame } from './describe.ts';
import { encodeFrame, type FrameHeader } from './frame.ts';

function described(header: FrameHeader, body = ''): string {
  return describeFrame({ ...header, bytes: encodeFrame(header, Buffer.from(body)) });
}

test('a frame is told by name, flags, label, stream and length of its body', t => {
  t.is(
    described({ type: 4, flags: 8, label: 3, stream: 1 }, 'secret'),
    'DATA +NOW label=3 stream=1 length=6',
  );
  t.is(described({ type: 0x20, flags: 0, label: 0, stream: 0 }), 'HELLO label=0 stream=0 length=0');
  t.is(
    described({ type: 1, flags: 3, label: 2, stream: 0 }),
    'COMMAND +MORE +DENIED label=2 stream=0 length=0',
  );
});

test('unknown types and flags are told by number', t => {
  t.is(described({ type: 0x0f, flags: 0xe0, label: 1, stream: 0 }), '0x0f +0xe0 label=1 stream=0 length=0');
});
