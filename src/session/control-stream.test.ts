import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { errorNumber } from '../base/errors.ts';
import { encodeFrame, type Frame, frameBody } from '../wire/frame.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { ControlStream, maxControlBytes } from './control-stream.ts';
import { parseFrame, pattern } from './testing/frames.ts';

const kib = 1024;
const { command, result, event } = frameType;

function makePair() {
  const [t2m, m2t] = [randomBytes(32), randomBytes(32)];
  const terminal = new ControlStream('terminal');
  const mediator = new ControlStream('mediator');
  terminal.setKeys({ send: t2m, receive: m2t });
  mediator.setKeys({ send: m2t, receive: t2m });
  return { terminal, mediator };
}

function takeAll(from: ControlStream): Frame[] {
  const frames: Frame[] = [];
  for (let bytes = from.take(1); bytes !== undefined; bytes = from.take(1)) frames.push(parseFrame(bytes));
  return frames;
}

function commands(from: ControlStream, count: number, bytes = 10): void {
  for (let number = 0; number < count; number++) from.queue(command, pattern(bytes, number));
}

test('P3.7: messages are numbered from 1 in each direction and arrive as they were', t => {
  const { terminal, mediator } = makePair();
  t.is(terminal.queue(command, pattern(3)), 1);
  t.is(terminal.queue(command, pattern(4)), 2);
  t.is(mediator.queue(event, pattern(5)), 1);
  const came = takeAll(terminal).map(frame => mediator.receive(frame));
  t.deepEqual(
    came.map(one => [one?.type, one?.seq, one?.body, one?.denied]),
    [
      [command, 1, pattern(3), undefined],
      [command, 2, pattern(4), undefined],
    ],
  );
  t.is(mediator.receivedSeq, 2);
  t.true(terminal.wasSent(2));
  t.false(terminal.wasSent(3));
});

test('P3.7: what comes twice is dropped, a gap is protocol-error', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 3);
  const [first, , third] = takeAll(terminal);
  if (first === undefined || third === undefined) return t.fail();
  t.not(mediator.receive(first), undefined);
  t.is(mediator.receive(first), undefined);
  t.throws(() => mediator.receive(third), { code: 'protocol-error' });
});

test('P6.4: a message replayed in the other direction, or with another type, flag or stream, is not authentic', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 1);
  const [frame] = takeAll(terminal);
  if (frame === undefined) return t.fail();
  t.throws(() => terminal.receive(frame), { code: 'protocol-error' });
  for (const change of [{ type: event }, { flags: 0x40 }, { flags: frameFlag.more }, { stream: 1 }]) {
    t.throws(() => mediator.receive({ ...frame, ...change }), { code: 'protocol-error' });
  }
  const short = encodeFrame({ type: command, flags: 0, label: 1, stream: 0 }, Buffer.alloc(19));
  t.throws(() => mediator.receive(parseFrame(short)), { code: 'protocol-error' });
  t.not(mediator.receive(frame), undefined);
});

test('P1.2: the label is not covered, since the server swaps it', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 1);
  const [frame] = takeAll(terminal);
  t.not(frame && mediator.receive({ ...frame, label: 77 }), undefined);
});

test('P5.8: DENIED means something on a COMMAND only; an unknown reason is not-permitted', t => {
  const denied = (type: number, reason: number) => {
    const { terminal, mediator } = makePair();
    const [from, to] = type === command ? [terminal, mediator] : [mediator, terminal];
    from.queue(type, pattern(5));
    const [frame] = takeAll(from);
    if (frame === undefined) throw new Error('no frame');
    const body = Buffer.concat([frameBody(frame), Buffer.of(reason)]);
    const flags = frameFlag.denied;
    return to.receive(parseFrame(encodeFrame({ type, flags, label: 1, stream: 0 }, body)));
  };
  t.is(denied(command, errorNumber('audit-unavailable'))?.denied, 'audit-unavailable');
  t.is(denied(command, 0)?.denied, 'not-permitted');
  t.is(denied(command, 250)?.denied, 'not-permitted');
  t.throws(() => denied(result, errorNumber('limit')), { code: 'protocol-error' });
  t.throws(() => denied(event, errorNumber('limit')), { code: 'protocol-error' });
});

test('P1.6: a message longer than a frame is refused before it gets a seq', t => {
  const { terminal } = makePair();
  t.throws(() => terminal.queue(command, Buffer.alloc(maxControlBytes + 1)), { code: 'frame-too-large' });
  t.is(terminal.queue(command, Buffer.alloc(maxControlBytes)), 1);
});

test('P3.7: at most 256 messages are under way; the others go as they are acknowledged', t => {
  const { terminal } = makePair();
  commands(terminal, 300);
  t.true(terminal.full);
  t.is(takeAll(terminal).length, 256);
  t.false(terminal.onWindow({ received: 10, limit: 266 }), 'still 290 that are not acknowledged');
  t.is(takeAll(terminal).length, 10);
  t.true(terminal.onWindow({ received: 100, limit: 300 }));
  t.false(terminal.full);
  t.is(takeAll(terminal).length, 34);
});

test('P3.7: at most 256 KiB are under way, and a WINDOW is due after half of it', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 40, 16_000);
  const frames = takeAll(terminal);
  t.is(frames.length, Math.floor((256 * kib) / 16_000));
  t.true(terminal.full);
  const due = frames.findIndex(frame => mediator.receive(frame) !== undefined && mediator.windowDue);
  t.is(due + 1, Math.ceil((128 * kib) / 16_000));
  terminal.onWindow(mediator.takeWindow());
  t.is(takeAll(terminal).length, due + 1);
});

test('P3.7: a WINDOW that acknowledges what was not sent is protocol-error, an older one changes nothing', t => {
  const { terminal } = makePair();
  commands(terminal, 5);
  t.throws(() => terminal.onWindow({ received: 1, limit: 256 }), { code: 'protocol-error' });
  takeAll(terminal);
  terminal.onWindow({ received: 4, limit: 300 });
  terminal.onWindow({ received: 2, limit: 200 });
  t.throws(() => terminal.onWindow({ received: 6, limit: 300 }), { code: 'protocol-error' });
  commands(terminal, 400);
  t.is(takeAll(terminal).length, 295);
});

test('P3.7: more than was allowed is protocol-error', t => {
  const { terminal, mediator } = makePair();
  terminal.onWindow({ received: 0, limit: 1000 });
  commands(terminal, 257);
  const frames = takeAll(terminal);
  for (const frame of frames.slice(0, 256)) mediator.receive(frame);
  const last = frames[256];
  t.throws(() => last && mediator.receive(last), { code: 'protocol-error' });
});

test('P3.7: a terminal that never acknowledges RESULTs gets no more COMMANDs through', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 2000);
  let answered = 0;
  for (let round = 0; round < 50; round++) {
    for (const frame of takeAll(terminal)) {
      if (mediator.receive(frame) === undefined) continue;
      mediator.queue(result, pattern(100));
      answered++;
    }
    terminal.onWindow(mediator.takeWindow());
  }
  t.is(answered, 256);
  t.true(mediator.full);
});

test('P3.7: with acknowledgements all of many commands are answered, and the limit that rises is told', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 2000);
  let results = 0;
  for (let moved = true; moved; ) {
    moved = false;
    for (const frame of takeAll(terminal)) {
      moved = true;
      mediator.receive(frame);
      mediator.queue(result, pattern(100));
    }
    for (const frame of takeAll(mediator)) {
      moved = true;
      terminal.receive(frame);
      results++;
    }
    if (terminal.windowPending) mediator.onWindow(terminal.takeWindow());
    if (mediator.windowDue) terminal.onWindow(mediator.takeWindow());
  }
  t.is(results, 2000);
});

test('P3.7: whatever the order of writing, sending and acknowledging, each message is delivered once and in order', t => {
  const step = fc.constantFrom('queue', 'queue', 'send', 'receive', 'receive', 'window', 'repeat');
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), steps => {
      const { terminal, mediator } = makePair();
      const pipe: Frame[] = [];
      const delivered: number[] = [];
      let queued = 0;
      const deliver = (frame: Frame | undefined) => {
        const came = frame && mediator.receive(frame);
        if (came !== undefined) delivered.push(came.body.readUInt16BE(0));
      };
      const run = (what: string) => {
        if (what === 'queue') terminal.queue(command, Buffer.of(queued >> 8, queued++ & 0xff));
        else if (what === 'send') pipe.push(...takeAll(terminal));
        else if (what === 'window') terminal.onWindow(mediator.takeWindow());
        else if (what === 'repeat') deliver(pipe[0] && { ...pipe[0] });
        else deliver(pipe.shift());
      };
      for (const what of steps) run(what);
      for (const what of ['send', ...pipe.map(() => 'receive'), ...steps.map(() => 'receive')]) run(what);
      return delivered.length === queued && delivered.every((number, index) => number === index);
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('P4.4: on a new label what the peer lacks goes again, and counts as sent only when it has', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 5);
  const frames = takeAll(terminal);
  for (const frame of frames.slice(0, 2)) mediator.receive(frame);
  terminal.rewind(mediator.takeWindow());
  t.true(terminal.wasSent(2));
  t.false(terminal.wasSent(3));
  const came = takeAll(terminal).map(frame => mediator.receive(frame)?.seq);
  t.deepEqual(came, [3, 4, 5]);
});

test('P4.4: a peer that lacks what it had, or has what was never sent, cannot resume', t => {
  const { terminal, mediator } = makePair();
  commands(terminal, 3);
  for (const frame of takeAll(terminal)) mediator.receive(frame);
  terminal.onWindow(mediator.takeWindow());
  t.throws(() => terminal.rewind({ received: 2, limit: 256 }), { code: 'cannot-resume' });
  t.throws(() => terminal.rewind({ received: 4, limit: 256 }), { code: 'cannot-resume' });
  t.notThrows(() => terminal.rewind({ received: 3, limit: 256 }));
});
