import test from 'ava';
import { encodeFrame } from '../wire/frame.ts';
import { encodeCredit, encodeData, encodeReset } from '../wire/messages/binary.ts';
import type { Command } from '../wire/messages/command.ts';
import { frameNameOf, frameType } from '../wire/spec.ts';
import { type AttachedPair, attachedPair, connectedStreams, record } from './testing/attached-pair.ts';
import { pattern, streamFrameText } from './testing/frames.ts';

const open: Command = { id: 7, verb: 'open', protocol: 'tcp', number: 0, choice: 'any' };

/** Names of what an end has to send now, in order. */
function taken(pair: AttachedPair, end: 'terminal' | 'mediator' = 'terminal'): string[] {
  const names: string[] = [];
  for (let frame = pair.takeFrom(end); frame !== undefined; frame = pair.takeFrom(end))
    names.push(frameNameOf(frame.type) ?? `${frame.type}`);
  return names;
}

function creditFrame(allowed: number): Buffer {
  const header = { type: frameType.credit, flags: 0, label: 1, stream: 0 };
  return encodeFrame(header, encodeCredit({ allowed, linkReceived: 0 }));
}

function dataFrame(stream: number, bytes: Buffer): Buffer {
  return encodeFrame({ type: frameType.data, flags: 0, label: 1, stream }, encodeData(0, bytes));
}

function resetFrame(stream: number, label: number): Buffer {
  return encodeFrame({ type: frameType.reset, flags: 0, label, stream }, encodeReset(29));
}

const datagram = { port: 3, peerAddress: '192.0.2.9', peerNumber: 53, bytes: Buffer.alloc(100) };

test('P2.1: WINDOW before stream 0 before DATA and DATAGRAM, whatever was queued first', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  record(mediator);
  mediator.send(pattern(40_000));
  for (let frame = pair.takeFrom('mediator'); frame !== undefined; frame = pair.takeFrom('mediator'))
    pair.deliverTo('terminal', frame.bytes);
  terminal.send(pattern(100));
  pair.terminal.attachment.sendDatagram(datagram);
  pair.terminal.attachment.sendCommand(open);
  const names = taken(pair);
  t.deepEqual(names.slice(0, 2), ['window', 'command']);
  t.deepEqual(names.slice(2).sort(), ['data', 'datagram']);
});

test('P2.1: the datagrams of a label share evenly with its streams', t => {
  const pair = attachedPair({ budgetBytes: 1 << 26 });
  const { terminal } = connectedStreams(pair);
  terminal.raiseLimit(1 << 20);
  for (let count = 0; count < 4; count++)
    pair.terminal.attachment.sendDatagram({ ...datagram, bytes: Buffer.alloc(16_000) });
  terminal.send(pattern(64_000));
  const names = taken(pair);
  t.is(names.length, 8);
  for (const half of [names.slice(0, 4), names.slice(4)])
    t.is(half.filter(name => name === 'datagram').length, 2, names.join());
});

test('P4.4: nothing but RESUME goes before it has gone, nothing but COMMANDs before the peer’s', t => {
  const pair = attachedPair({ unopened: true });
  const made = pair.terminal.attachment.createStream(1 << 20);
  made?.stream.send(pattern(10));
  pair.terminal.attachment.sendDatagram(datagram);
  pair.terminal.attachment.sendCommand(open);
  t.deepEqual(taken(pair), ['resume', 'command']);
  t.deepEqual(taken(pair, 'mediator'), []);
});

test('P2.3: RESUME waits for credit like everything that is counted', t => {
  const pair = attachedPair({ unopened: true, creditBytes: 100 });
  t.deepEqual(taken(pair), []);
  pair.deliverTo('terminal', creditFrame(10_000));
  t.deepEqual(taken(pair), ['resume']);
});

test('P2.3: without credit WINDOW and COMMAND wait; RESET, ECHO and DATAGRAM do not', t => {
  const opening = attachedPair({ unopened: true });
  const resumeBytes = opening.takeFrom('terminal')?.bytes.length ?? 0;
  const pair = attachedPair({ creditBytes: resumeBytes + 10 });
  const [first, second, third] = [connectedStreams(pair), connectedStreams(pair), connectedStreams(pair)];
  for (const { terminal } of [first, second, third]) record(terminal);
  pair.deliverTo('terminal', dataFrame(third.terminal.id, pattern(16_000)));
  pair.deliverTo('terminal', resetFrame(second.terminal.id, 1));
  pair.terminal.attachment.sendCommand(open);
  pair.terminal.attachment.sendDatagram(datagram);
  first.terminal.abort('aborted');
  t.deepEqual(taken(pair).sort(), ['datagram', 'reset', 'reset']);
  t.is(pair.terminal.credit.room, 10);
  pair.deliverTo('terminal', creditFrame(100_000));
  t.deepEqual(taken(pair), ['window', 'command']);
});

test('P2.1: where credit is scarce every stream has its turn: who is ready again stands behind who still waits for it', t => {
  const [creditBytes, lengthBytes] = [17_000, 4_000];
  const pair = attachedPair({ creditBytes, budgetBytes: 1 << 26 });
  const streams = [1, 2, 3].map(() => connectedStreams(pair).terminal);
  for (const stream of streams) {
    stream.raiseLimit(1 << 20);
    stream.send(pattern(lengthBytes));
  }
  const turns = new Map(streams.map(({ id }) => [id, 0]));
  for (let round = 0; round <= 30; round++) {
    const gone: number[] = [];
    for (let frame = pair.takeFrom('terminal'); frame !== undefined; frame = pair.takeFrom('terminal'))
      gone.push(frame.stream);
    for (const id of gone) {
      turns.set(id, (turns.get(id) ?? 0) + 1);
      // Its WINDOW comes before the next CREDIT, and its owner has more.
      streams.find(stream => stream.id === id)?.send(pattern(lengthBytes));
    }
    pair.deliverTo('terminal', creditFrame(creditBytes + (round + 1) * (lengthBytes + 20)));
  }
  t.deepEqual([...turns.values()], [10, 10, 10]);
});

test('P2.3: what is counted and only that is taken from the credit', t => {
  const pair = attachedPair({ creditBytes: 100_000 });
  const { terminal } = connectedStreams(pair);
  terminal.raiseLimit(1 << 20);
  const spent: Record<string, number> = {};
  const spend = () => {
    for (let room = pair.terminal.credit.room; ; room = pair.terminal.credit.room) {
      const frame = pair.takeFrom('terminal');
      if (frame === undefined) return;
      const name = frameNameOf(frame.type) ?? '';
      spent[name] = room - pair.terminal.credit.room - frame.bytes.length;
    }
  };
  terminal.send(pattern(100));
  pair.terminal.attachment.sendCommand(open);
  pair.terminal.attachment.sendDatagram(datagram);
  spend();
  terminal.finish();
  spend();
  terminal.abort('aborted');
  spend();
  t.deepEqual(
    { ...spent, datagram: (spent.datagram ?? 0) < 0, reset: (spent.reset ?? 0) < 0 },
    { data: 0, command: 0, fin: 0, datagram: true, reset: true },
  );
});

test('P4.5: an ECHO repeats the reason and is never answered', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(mediator);
  const reset = encodeFrame(
    { type: frameType.reset, flags: 0, label: 2, stream: terminal.id },
    encodeReset(29),
  );
  pair.deliverTo('mediator', reset);
  const echo = pair.takeFrom('mediator')?.bytes ?? Buffer.alloc(0);
  t.is(streamFrameText(echo), 'RESET 29 ECHO');
  pair.deliverTo('terminal', echo);
  t.is(pair.takeFrom('terminal'), undefined);
});

test('a label that is gone takes what waited for it along: nothing goes, datagrams are not kept', t => {
  const pair = attachedPair();
  const { terminal } = connectedStreams(pair);
  record(terminal);
  terminal.send(pattern(100));
  pair.terminal.attachment.sendDatagram(datagram);
  pair.terminal.attachment.unbind('link-lost');
  t.deepEqual(taken(pair), []);
  pair.terminal.attachment.sendDatagram(datagram);
  t.deepEqual(taken(pair), []);
});
