import { randomBytes } from 'node:crypto';
import test from 'ava';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import type { Resume } from '../wire/messages/resume.ts';
import { frameFlag, frameType, maxSpanningBytes } from '../wire/spec.ts';
import { ResumeExchange } from './resume-exchange.ts';
import { parseFrame, pattern } from './testing/frames.ts';
import { controlMac } from './transcript.ts';

const signature = Buffer.alloc(64, 7);
const fresh: Resume = { streams: [], control: 0, mark: 0, resets: [], controlLimit: 256 };

/** As much as RESUME can say: 4096 streams and as many RESETs, about 110 KiB. */
const long: Resume = {
  ...fresh,
  streams: Array.from({ length: 4096 }, (_, index) => {
    return { id: 2 * index + 1, received: 2 ** 40 + index, limit: 2 ** 41, finSent: true, yields: 1 };
  }),
  resets: Array.from({ length: 4096 }, (_, index) => ({ id: 2 * index + 9001, reason: 26 })),
};

function makePair({ verify = (given: Uint8Array | undefined) => given?.[0] === 7 } = {}) {
  const [t2m, m2t] = [randomBytes(32), randomBytes(32)];
  const terminal = new ResumeExchange('terminal', {
    label: 1,
    keys: { send: t2m, receive: m2t },
    signature,
  });
  const mediator = new ResumeExchange('mediator', { label: 2, keys: { send: m2t, receive: t2m }, verify });
  return { terminal, mediator, t2m };
}

function takeAll(exchange: ResumeExchange): Frame[] {
  const frames: Frame[] = [];
  for (let bytes = exchange.takeOwn(); bytes !== undefined; bytes = exchange.takeOwn())
    frames.push(parseFrame(bytes));
  return frames;
}

/** A part that is made by hand, authentic for who has the key. */
function sealedPart(key: Buffer, number: number, piece: Uint8Array, more: boolean): Frame {
  const covered = Buffer.concat([Buffer.alloc(4), piece]);
  covered.writeUInt32BE(number, 0);
  const flags = more ? frameFlag.more : 0;
  const mac = controlMac(key, frameType.resume, flags, 0, covered);
  return parseFrame(
    encodeFrame({ type: frameType.resume, flags, label: 2, stream: 0 }, Buffer.concat([covered, mac])),
  );
}

test('P4.4: both ends say what they have, the terminal with its signature; then all may go', t => {
  const { terminal, mediator } = makePair();
  terminal.queueOwn(fresh);
  t.false(terminal.mayCommand);
  const [first] = takeAll(terminal);
  t.true(terminal.mayCommand);
  t.false(terminal.complete);
  t.deepEqual(first && mediator.receive(first)?.signature, new Uint8Array(signature));
  t.false(mediator.complete);
  mediator.queueOwn({ ...fresh, mark: 9 });
  t.false(mediator.mayCommand);
  const [second] = takeAll(mediator);
  t.true(mediator.complete);
  t.is(second && terminal.receive(second)?.mark, 9);
  t.true(terminal.complete);
});

test('P4.4: a RESUME longer than a frame goes in parts, each with its number, and arrives as one', t => {
  const { terminal, mediator } = makePair();
  terminal.queueOwn(long);
  const frames = takeAll(terminal);
  t.true(frames.length > 6, `${frames.length}`);
  t.deepEqual(
    frames.map(frame => frameBody(frame).readUInt32BE(0)),
    [...frames.keys()],
  );
  const came = frames.map(frame => mediator.receive(frame));
  t.true(came.slice(0, -1).every(one => one === undefined));
  t.deepEqual(came.at(-1)?.streams, long.streams);
  t.deepEqual(came.at(-1)?.resets, long.resets);
});

test('P4.4: a forged, missing, repeated or swapped part is proof-invalid', t => {
  const broken: readonly ((frames: Frame[]) => Frame[])[] = [
    ([first, second = first, ...rest]) => [first, second, ...rest].map(flipped).flatMap(one => one ?? []),
    ([, ...rest]) => rest,
    ([first, , ...rest]) => [first, ...rest].flatMap(one => one ?? []),
    ([first, ...rest]) => [first, first, ...rest].flatMap(one => one ?? []),
    ([first, second, third, ...rest]) => [first, third, second, ...rest].flatMap(one => one ?? []),
    frames => frames.slice(-1),
  ];
  for (const change of broken) {
    const { terminal, mediator } = makePair();
    terminal.queueOwn(long);
    const frames = change(takeAll(terminal));
    t.throws(() => frames.some(frame => mediator.receive(frame) !== undefined), { code: 'proof-invalid' });
    t.is(mediator.peerResume, undefined);
  }
});

/** The second part with one bit changed. */
function flipped(frame: Frame | undefined, index: number): Frame | undefined {
  if (frame === undefined || index !== 1) return frame;
  const bytes = Buffer.from(frame.bytes);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  return parseFrame(bytes);
}

test('P4.4: a last part that is cut off by its MORE flag does not verify', t => {
  const { terminal, mediator } = makePair();
  terminal.queueOwn(long);
  const [first] = takeAll(terminal);
  t.throws(() => first && mediator.receive({ ...first, flags: 0 }), { code: 'proof-invalid' });
});

test('P4.2: without the terminal’s signature, or with a wrong one, nothing it says counts', t => {
  const wrong = makePair({ verify: () => false });
  wrong.terminal.queueOwn(fresh);
  const [frame] = takeAll(wrong.terminal);
  t.throws(() => frame && wrong.mediator.receive(frame), { code: 'proof-invalid' });
  t.is(wrong.mediator.peerResume, undefined);
  const keys = { send: randomBytes(32), receive: randomBytes(32) };
  const unsigned = new ResumeExchange('terminal', { label: 1, keys });
  const careless = new ResumeExchange('mediator', {
    label: 2,
    keys: { send: keys.receive, receive: keys.send },
  });
  unsigned.queueOwn(fresh);
  const [plain] = takeAll(unsigned);
  t.throws(() => plain && careless.receive(plain), { code: 'proof-invalid' }, 'no verifier lets nobody in');
});

test('P4.4: a second RESUME is protocol-error', t => {
  const { terminal, mediator } = makePair();
  terminal.queueOwn(fresh);
  const [frame] = takeAll(terminal);
  if (frame === undefined) return t.fail();
  mediator.receive(frame);
  t.throws(() => mediator.receive(frame), { code: 'protocol-error' });
});

test('P1.6: parts beyond 256 KiB, empty parts and parts on a stream are refused', t => {
  const tooLong = makePair();
  const endless = () => {
    for (let number = 0; number < 100; number++)
      tooLong.mediator.receive(sealedPart(tooLong.t2m, number, pattern(16_000), true));
  };
  t.throws(endless, { code: 'frame-too-large' });
  const empty = makePair();
  t.throws(() => empty.mediator.receive(sealedPart(empty.t2m, 0, Buffer.alloc(0), true)), {
    code: 'protocol-error',
  });
  const onStream = makePair();
  onStream.terminal.queueOwn(fresh);
  const [frame] = takeAll(onStream.terminal);
  t.throws(() => frame && onStream.mediator.receive({ ...frame, stream: 1 }), { code: 'protocol-error' });
  const short = encodeFrame({ type: frameType.resume, flags: 0, label: 2, stream: 0 }, Buffer.alloc(19));
  t.throws(() => makePair().mediator.receive(parseFrame(short)), { code: 'protocol-error' });
  t.true(maxSpanningBytes < 100 * 16_000);
});

test('P1.5: an authentic RESUME that is not CBOR of the profile is bad-request', t => {
  const { mediator, t2m } = makePair();
  t.throws(() => mediator.receive(sealedPart(t2m, 0, Buffer.from('ff', 'hex'), false)), {
    code: 'bad-request',
  });
});
