import test from 'ava';
import fc from 'fast-check';
import { errorNumber } from '../base/errors.ts';
import { encodeFrame, frameBody } from '../wire/frame.ts';
import { decodeWindow, encodeCredit, encodeReset, encodeWindow } from '../wire/messages/binary.ts';
import type { Command } from '../wire/messages/command.ts';
import { frameFlag, frameType } from '../wire/spec.ts';
import { attachedPair, connectedStreams, record } from './testing/attached-pair.ts';
import { parseFrame, pattern } from './testing/frames.ts';

const open: Command = { id: 7, verb: 'open', protocol: 'tcp', number: 0, choice: 'any' };

test('P4.4: both ends are open once each has the other RESUME', t => {
  const pair = attachedPair({ unopened: true });
  t.false(pair.terminal.attachment.open);
  pair.settle();
  t.true(pair.terminal.attachment.open);
  t.true(pair.mediator.attachment.open);
});

test('P4.2: without a good signature over T the mediator answers nothing and runs nothing', t => {
  const pair = attachedPair({ unopened: true, signature: Buffer.alloc(64) });
  pair.terminal.attachment.sendCommand(open);
  const resume = pair.takeFrom('terminal');
  const command = pair.takeFrom('terminal');
  t.throws(() => pair.deliverTo('mediator', resume?.bytes ?? Buffer.alloc(0)), { code: 'proof-invalid' });
  t.throws(() => pair.deliverTo('mediator', command?.bytes ?? Buffer.alloc(0)), { code: 'protocol-error' });
  t.is(pair.takeFrom('mediator'), undefined);
  t.deepEqual(pair.mediator.commands, []);
});

test('P4.4: a fresh terminal sends COMMANDs right behind its RESUME', t => {
  const pair = attachedPair({ unopened: true });
  pair.terminal.attachment.sendCommand(open);
  t.is(pair.takeFrom('terminal')?.type, frameType.resume);
  t.is(pair.takeFrom('terminal')?.type, frameType.command);
});

test('P3.7: commands and results arrive once, in order, with their seq', t => {
  const pair = attachedPair();
  const seqs = [1, 2, 3].map(id => pair.terminal.attachment.sendCommand({ ...open, id }));
  pair.settle();
  t.deepEqual(
    pair.mediator.commands.map(({ command, seq, denied }) => [command.id, seq, denied]),
    seqs.map((seq, index) => [index + 1, seq, undefined]),
  );
  pair.mediator.attachment.sendResult({ id: 2, code: 0, port: 5 });
  pair.settle();
  t.deepEqual(pair.terminal.results, [{ id: 2, code: 0, port: 5 }]);
});

test('P3.7: a message that comes twice is delivered once', t => {
  const pair = attachedPair();
  pair.terminal.attachment.sendCommand(open);
  const frame = pair.takeFrom('terminal')?.bytes ?? Buffer.alloc(0);
  pair.deliverTo('mediator', frame);
  pair.deliverTo('mediator', frame);
  t.is(pair.mediator.commands.length, 1);
});

test('P6.4: a message with one bit changed ends the label and is not run', t => {
  const pair = attachedPair();
  pair.terminal.attachment.sendCommand(open);
  const frame = Buffer.from(pair.takeFrom('terminal')?.bytes ?? Buffer.alloc(0));
  for (let at = 12; at < frame.length; at++) {
    const forged = Buffer.from(frame);
    forged[at] = (forged[at] ?? 0) ^ 1;
    t.throws(() => pair.deliverTo('mediator', forged), { code: 'protocol-error' });
  }
  t.deepEqual(pair.mediator.commands, []);
});

test('P5.8: the server can mark a command DENIED without breaking its MAC', t => {
  const pair = attachedPair();
  pair.terminal.attachment.sendCommand(open);
  const frame = pair.takeFrom('terminal');
  const body = Buffer.concat([
    frame ? frameBody(frame) : Buffer.alloc(0),
    Buffer.from([errorNumber('limit')]),
  ]);
  pair.deliverTo(
    'mediator',
    encodeFrame({ type: frameType.command, flags: frameFlag.denied, label: 2, stream: 0 }, body),
  );
  t.is(pair.mediator.commands[0]?.denied, 'limit');
});

test('P3.7: at most 256 messages are unacknowledged, and all arrive', t => {
  const pair = attachedPair();
  for (let id = 0; id < 1000; id++) pair.terminal.attachment.sendCommand({ ...open, id });
  let inARow = 0;
  while (pair.takeFrom('terminal') !== undefined) inARow++;
  t.is(inARow, 256);
  const fresh = attachedPair();
  for (let id = 0; id < 1000; id++) fresh.terminal.attachment.sendCommand({ ...open, id });
  t.true(fresh.terminal.attachment.controlFull);
  fresh.settle();
  t.is(fresh.mediator.commands.length, 1000);
});

test('a stream carries bytes both ways, FIN last, and is forgotten at both ends', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const [atTerminal, atMediator] = [record(terminal), record(mediator)];
  terminal.send(Buffer.from('question'));
  terminal.finish();
  pair.settle();
  t.is(atMediator.bytes().toString(), 'question');
  t.deepEqual(atMediator.told, ['fin']);
  mediator.send(Buffer.from('answer'));
  mediator.finish();
  pair.settle();
  pair.passDelay();
  t.is(atTerminal.bytes().toString(), 'answer');
  t.deepEqual(atTerminal.told, ['fin', 'finished']);
  t.deepEqual(atMediator.told, ['fin', 'finished']);
  t.is(pair.terminal.attachment.streamCount + pair.mediator.attachment.streamCount, 0);
  for (const end of [pair.terminal, pair.mediator]) {
    t.is(end.receiveBudget.freeBytes, end.receiveBudget.totalBytes);
    t.is(end.replayBudget.freeBytes, end.replayBudget.totalBytes);
  }
});

test('P3.2: whatever the sizes written, bytes arrive whole and in order, within share and window', t => {
  const sizes = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(sizes, writes => {
      const pair = attachedPair({ budgetBytes: 1024 * 1024 });
      const { terminal, mediator } = connectedStreams(pair);
      const atMediator = record(mediator);
      record(terminal);
      const all = pattern(writes.reduce((sum, size) => sum + size, 0));
      let at = 0;
      for (const size of writes) {
        for (const end = at + size; at < end; ) {
          const part = all.subarray(at, Math.min(end, at + terminal.roomBytes));
          if (part.length > 0) terminal.send(part);
          at += part.length;
          pair.settle();
          pair.passDelay();
        }
      }
      terminal.finish();
      pair.settle();
      return atMediator.bytes().equals(all) && atMediator.told.includes('fin');
    }),
    { numRuns: 30 },
  );
  t.pass();
});

test('P3.1: a reader that takes nothing stops the sender at its window, and the sender stops its source', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const atMediator = record(mediator, true);
  record(terminal);
  let written = 0;
  for (let round = 0; round < 1000 && terminal.roomBytes > 0; round++) {
    written += terminal.roomBytes;
    terminal.send(pattern(terminal.roomBytes));
    pair.settle();
    pair.passDelay();
  }
  t.is(terminal.roomBytes, 0);
  const window = 64 * 1024;
  t.true(atMediator.bytes().length <= window);
  t.true(written <= atMediator.bytes().length + 2 * 1024 * 1024);
  mediator.taken(atMediator.bytes().length);
  pair.settle();
  t.true(atMediator.bytes().length > 0);
});

test('P3.5: RESET follows the data already sent, discards the rest, and is answered by an ECHO', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const atMediator = record(mediator);
  const atTerminal = record(terminal);
  terminal.send(Buffer.from('before'));
  pair.settle();
  terminal.send(Buffer.from('never sent'));
  terminal.abort('aborted');
  const seen: string[] = [];
  pair.settle((frame, from) => {
    if (frame.type === frameType.reset)
      seen.push(`${from}${(frame.flags & frameFlag.echo) !== 0 ? ' echo' : ''}`);
    return frame.bytes;
  });
  t.is(atMediator.bytes().toString(), 'before');
  t.deepEqual(atMediator.told, ['reset aborted']);
  t.deepEqual(atTerminal.told, []);
  t.deepEqual(seen, ['terminal', 'mediator echo']);
  t.is(pair.mediator.replayBudget.freeBytes, pair.mediator.replayBudget.totalBytes);
  t.is(pair.terminal.receiveBudget.freeBytes, pair.terminal.receiveBudget.totalBytes);
});

test('P4.5: RESETs that cross satisfy each other', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  record(mediator);
  terminal.abort('aborted');
  mediator.abort('peer-reset');
  pair.settle();
  t.is(pair.terminal.attachment.streamCount + pair.mediator.attachment.streamCount, 0);
});

test('P3.8: frames of a stream that is over are dropped; of one that never was, they end the label', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  record(mediator);
  terminal.abort('aborted');
  pair.settle();
  const late = (stream: number) =>
    encodeFrame(
      { type: frameType.window, flags: 0, label: 2, stream },
      encodeWindow({ received: 0, limit: 0, yields: 0 }),
    );
  t.notThrows(() => pair.deliverTo('mediator', late(terminal.id)));
  t.is(pair.mediator.attachment.droppedFrames, 1);
  t.throws(() => pair.deliverTo('mediator', late(terminal.id + 2)), { code: 'protocol-error' });
  t.throws(() => pair.deliverTo('mediator', late(2)), { code: 'protocol-error' });
});

test('P1.3: stream ids of the peer must rise and have its parity', t => {
  const pair = attachedPair();
  pair.mediator.attachment.acceptStream(5, 1000);
  t.throws(() => pair.mediator.attachment.acceptStream(5, 1000), { code: 'protocol-error' });
  t.throws(() => pair.mediator.attachment.acceptStream(3, 1000), { code: 'protocol-error' });
  t.throws(() => pair.mediator.attachment.acceptStream(8, 1000), { code: 'protocol-error' });
});

test('a broken rule inside a stream resets that stream at both ends and nothing else', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const other = connectedStreams(pair);
  const atMediator = record(mediator);
  const atTerminal = record(terminal);
  const atOther = record(other.mediator);
  const gap = Buffer.concat([Buffer.from('0000000000000064', 'hex'), Buffer.from('x')]);
  pair.deliverTo(
    'mediator',
    encodeFrame({ type: frameType.data, flags: 0, label: 2, stream: terminal.id }, gap),
  );
  pair.settle();
  t.deepEqual(atMediator.told, ['reset protocol-error']);
  t.deepEqual(atTerminal.told, ['reset protocol-error']);
  other.terminal.send(Buffer.from('fine'));
  pair.settle();
  t.is(atOther.bytes().toString(), 'fine');
});

test('P3.2: DATA beyond the window resets the stream', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const atMediator = record(mediator, true);
  for (let offset = 0; atMediator.told.length === 0 && offset < 1 << 20; offset += 8000) {
    const body = Buffer.alloc(8008);
    body.writeBigUInt64BE(BigInt(offset));
    pair.deliverTo(
      'mediator',
      encodeFrame({ type: frameType.data, flags: 0, label: 2, stream: terminal.id }, body),
    );
  }
  t.deepEqual(atMediator.told, ['reset stream-limit']);
});

test('P3.1: an acknowledgement of bytes never sent resets the stream', t => {
  const pair = attachedPair();
  const { terminal } = connectedStreams(pair);
  const atTerminal = record(terminal);
  const window = encodeWindow({ received: 10, limit: 100, yields: 0 });
  pair.deliverTo(
    'terminal',
    encodeFrame({ type: frameType.window, flags: 0, label: 1, stream: terminal.id }, window),
  );
  t.deepEqual(atTerminal.told, ['reset protocol-error']);
});

test('P3.1: WINDOW goes 50 ms after a few bytes, at once after 32 KiB or half the window', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(mediator);
  terminal.send(Buffer.from('few'));
  const data = pair.takeFrom('terminal');
  pair.deliverTo('mediator', data?.bytes ?? Buffer.alloc(0));
  t.is(pair.takeFrom('mediator'), undefined);
  pair.clock.advance(50);
  const window = pair.takeFrom('mediator');
  t.is(window?.type, frameType.window);
  t.is(decodeWindow(window ? frameBody(window) : Buffer.alloc(0)).received, 3);
});

test('P3.1: NOW is answered at once', t => {
  const pair = attachedPair({ budgetBytes: 2 * 1024 * 1024 });
  const { terminal, mediator } = connectedStreams(pair);
  record(mediator, true);
  terminal.send(pattern(terminal.roomBytes));
  const last = pair.takeFrom('terminal');
  t.true(((last?.flags ?? 0) & frameFlag.now) !== 0);
  pair.deliverTo('mediator', last?.bytes ?? Buffer.alloc(0));
  t.is(pair.takeFrom('mediator')?.type, frameType.window);
});

test('P2.3: DATA stops 16 KiB before the credit does; commands still go; CREDIT lets it go on', t => {
  const pair = attachedPair({ creditBytes: 64 * 1024 });
  const { terminal, mediator } = connectedStreams(pair);
  const atMediator = record(mediator);
  record(terminal);
  terminal.raiseLimit(1 << 20);
  let sent = 0;
  for (let round = 0; round < 50; round++) {
    terminal.send(pattern(Math.min(terminal.roomBytes, 16_000)));
    for (let frame = pair.takeFrom('terminal'); frame !== undefined; frame = pair.takeFrom('terminal')) {
      sent += frame.bytes.length;
      pair.deliverTo('mediator', frame.bytes);
    }
    pair.clock.advance(50);
    for (let frame = pair.takeFrom('mediator'); frame !== undefined; frame = pair.takeFrom('mediator')) {
      pair.deliverTo('terminal', frame.bytes);
    }
  }
  t.true(sent <= 48 * 1024, `${sent}`);
  t.true(sent > 24 * 1024, `${sent}`);
  const before = atMediator.bytes().length;
  pair.terminal.attachment.sendCommand(open);
  t.is(pair.takeFrom('terminal')?.type, frameType.command);
  const credit = Buffer.alloc(16);
  credit.writeBigUInt64BE(BigInt(1 << 20), 0);
  pair.deliverTo('terminal', encodeFrame({ type: frameType.credit, flags: 0, label: 1, stream: 0 }, credit));
  pair.settle();
  t.true(atMediator.bytes().length > before);
});

test('P5.9: datagrams of 0 to 65,507 bytes cross whole, their parts consecutive', t => {
  const pair = attachedPair();
  for (const length of [0, 1, 1400, 16_365, 16_366, 65_507]) {
    pair.terminal.attachment.sendDatagram({
      port: 3,
      peerAddress: '192.168.1.9',
      peerNumber: 53,
      bytes: pattern(length),
    });
  }
  pair.settle();
  t.deepEqual(
    pair.mediator.datagrams.map(({ bytes }) => bytes.length),
    [0, 1, 1400, 16_365, 16_366, 65_507],
  );
  t.true(pair.mediator.datagrams.every(({ bytes }) => bytes.equals(pattern(bytes.length))));
});

test('P2.3: of datagrams that wait too many the oldest are dropped whole, and streams feel nothing', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const atMediator = record(mediator);
  for (let number = 0; number < 1000; number++) {
    pair.terminal.attachment.sendDatagram({
      port: 3,
      peerAddress: '::1',
      peerNumber: number,
      bytes: Buffer.alloc(1000),
    });
  }
  terminal.send(Buffer.from('still here'));
  pair.settle();
  t.true(pair.terminal.attachment.droppedDatagrams > 700);
  t.is(pair.mediator.datagrams.length, 1000 - pair.terminal.attachment.droppedDatagrams);
  t.is(pair.mediator.datagrams.at(-1)?.peerNumber, 999);
  t.is(atMediator.bytes().toString(), 'still here');
});

test('P2.1: a command overtakes waiting data, and streams share evenly', t => {
  const pair = attachedPair();
  const [first, second] = [connectedStreams(pair), connectedStreams(pair)];
  for (const { terminal } of [first, second]) {
    terminal.raiseLimit(1 << 20);
    terminal.send(pattern(terminal.roomBytes));
  }
  pair.terminal.attachment.sendCommand(open);
  t.is(pair.takeFrom('terminal')?.type, frameType.command);
  t.is(pair.takeFrom('terminal')?.stream, first.terminal.id);
  t.is(pair.takeFrom('terminal')?.stream, second.terminal.id);
});

test('P3.6: a lost label resets every stream at this end and never looks like FIN', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const [atTerminal, atMediator] = [record(terminal), record(mediator)];
  terminal.send(Buffer.from('x'));
  pair.terminal.attachment.unbind('link-lost');
  pair.mediator.attachment.unbind('link-lost');
  t.deepEqual(atTerminal.told, ['reset link-lost']);
  t.deepEqual(atMediator.told, ['reset link-lost']);
  t.is(pair.mediator.receiveBudget.freeBytes, pair.mediator.receiveBudget.totalBytes);
});

test('P3.3: streams beyond the budget are refused, and the budget is never overdrawn', t => {
  const pair = attachedPair({ budgetBytes: 64 * 1024 });
  let count = 0;
  while (pair.terminal.attachment.createStream(0) !== undefined) count++;
  t.is(count, 16);
  t.true(pair.terminal.receiveBudget.freeBytes >= 0);
});

test('P1.4: types 0x40-0x7f on a label are room for later and change nothing', t => {
  const pair = attachedPair();
  t.notThrows(() =>
    pair.deliverTo('mediator', encodeFrame({ type: 0x40, flags: 0, label: 2, stream: 0 }, Buffer.alloc(3))),
  );
});

test('a RESET of a stream unknown to the receiver but known as past gets its ECHO', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  record(mediator);
  terminal.abort('aborted');
  pair.settle();
  const again = encodeFrame(
    { type: frameType.reset, flags: 0, label: 2, stream: terminal.id },
    encodeReset(26),
  );
  pair.deliverTo('mediator', again);
  const echo = pair.takeFrom('mediator');
  t.is(echo?.type, frameType.reset);
  t.true(((echo?.flags ?? 0) & frameFlag.echo) !== 0);
  t.is(parseFrame(echo?.bytes ?? Buffer.alloc(0)).stream, terminal.id);
});

test('P2.3: FINs wait for credit like everything that is counted', t => {
  const pair = attachedPair({ creditBytes: 17_000, budgetBytes: 1 << 30 });
  const all = Array.from({ length: 2000 }, () => connectedStreams(pair));
  for (const { terminal } of all) terminal.finish();
  let sentBytes = 0;
  for (let frame = pair.takeFrom('terminal'); frame !== undefined; frame = pair.takeFrom('terminal')) {
    sentBytes += frame.bytes.length;
  }
  t.true(sentBytes <= 17_000, `${sentBytes}`);
  const credit = encodeFrame(
    { type: frameType.credit, flags: 0, label: 1, stream: 0 },
    encodeCredit({ allowed: 1 << 20, linkReceived: 0 }),
  );
  pair.deliverTo('terminal', credit);
  t.is(pair.takeFrom('terminal')?.type, frameType.fin);
});
