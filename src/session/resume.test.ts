import { randomBytes } from 'node:crypto';
import test from 'ava';
import { encodeFrame } from '../wire/frame.ts';
import { encodeReset } from '../wire/messages/binary.ts';
import type { Command } from '../wire/messages/command.ts';
import { frameNameOf, frameType } from '../wire/spec.ts';
import { Attachment } from './attachment.ts';
import { ControlStream } from './control-stream.ts';
import { HopCredit } from './hop-credit.ts';
import { LabelOutlet } from './label-outlet.ts';
import { ResumeExchange } from './resume-exchange.ts';
import { type LabelSource, Scheduler } from './scheduler.ts';
import { SlabPool } from './slab.ts';
import { type AttachedPair, attachedPair, connectedStreams, record } from './testing/attached-pair.ts';
import { parseFrame, pattern } from './testing/frames.ts';

const open: Command = { id: 7, verb: 'open', protocol: 'tcp', number: 0, choice: 'any' };

function suspendBoth(pair: AttachedPair): void {
  pair.terminal.attachment.suspend();
  pair.mediator.attachment.suspend();
}

/** Whatever an end has to send goes, and is lost. */
function loseAll(pair: AttachedPair, ...ends: ('terminal' | 'mediator')[]): string[] {
  const names: string[] = [];
  for (const end of ends)
    for (let frame = pair.takeFrom(end); frame !== undefined; frame = pair.takeFrom(end))
      names.push(frameNameOf(frame.type) ?? `${frame.type}`);
  return names;
}

function assertAllFree(t: { is(a: unknown, b: unknown): unknown }, pair: AttachedPair): void {
  for (const { attachment, receiveBudget, replayBudget } of [pair.terminal, pair.mediator]) {
    t.is(attachment.streamCount + attachment.pendingResets, 0);
    t.is(receiveBudget.freeBytes, receiveBudget.totalBytes);
    t.is(replayBudget.freeBytes, replayBudget.totalBytes);
  }
}

test('P4.4: bytes that were lost with a label go again on the next, those that came do not', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const [atTerminal, atMediator] = [record(terminal), record(mediator)];
  const all = pattern(60_000);
  terminal.send(all.subarray(0, 20_000));
  pair.settle();
  terminal.send(all.subarray(20_000, 40_000));
  t.true(loseAll(pair, 'terminal').includes('data'));
  suspendBoth(pair);
  terminal.send(all.subarray(40_000));
  terminal.finish();
  t.deepEqual(loseAll(pair, 'terminal', 'mediator'), []);
  pair.rebind();
  pair.settle();
  t.true(atMediator.bytes().equals(all));
  t.is(pair.terminal.attachment.resentBytes, 20_000);
  mediator.finish();
  pair.settle();
  pair.passDelay();
  t.deepEqual(atMediator.told, ['fin', 'finished']);
  t.deepEqual(atTerminal.told, ['fin', 'finished']);
  assertAllFree(t, pair);
});

test('P3.7: commands, results and events are run and delivered once, whatever was lost', t => {
  const pair = attachedPair();
  const { terminal, mediator } = pair;
  terminal.attachment.sendCommand({ ...open, id: 1 });
  pair.settle();
  terminal.attachment.sendCommand({ ...open, id: 2 });
  mediator.attachment.sendResult({ id: 1, code: 0 });
  mediator.attachment.sendEvent({ kind: 'lost', port: 1, timeMs: 1, count: 3 });
  loseAll(pair, 'mediator');
  const lost = pair.takeFrom('terminal')?.bytes ?? Buffer.alloc(0);
  pair.deliverTo('mediator', lost);
  suspendBoth(pair);
  terminal.attachment.sendCommand({ ...open, id: 3 });
  pair.rebind();
  pair.settle();
  t.deepEqual(
    mediator.commands.map(({ command }) => command.id),
    [1, 2, 3],
  );
  t.deepEqual(
    terminal.results.map(({ id }) => id),
    [1],
  );
  t.is(terminal.events.length, 1);
});

test('P4.4: on a label that goes on nothing but RESUME is sent before the peer’s', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  record(mediator);
  suspendBoth(pair);
  for (const stream of [terminal, mediator]) stream.send(pattern(100));
  pair.terminal.attachment.sendCommand(open);
  pair.terminal.attachment.sendDatagram({
    port: 1,
    peerAddress: '::1',
    peerNumber: 1,
    bytes: Buffer.alloc(9),
  });
  pair.rebind();
  t.deepEqual(loseAll(pair, 'terminal', 'mediator'), ['resume']);
  pair.rebind();
  const resume = pair.takeFrom('terminal');
  pair.deliverTo('mediator', resume?.bytes ?? Buffer.alloc(0));
  t.is(pair.takeFrom('mediator')?.type, frameType.resume);
});

test('P4.2: an attempt without the terminal’s signature changes nothing: the older label goes on', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  record(mediator);
  pair.rebind();
  const forged = Buffer.from(pair.takeFrom('terminal')?.bytes ?? Buffer.alloc(0));
  forged[40] = (forged[40] ?? 0) ^ 1;
  t.throws(() => pair.deliverTo('mediator', forged), { code: 'proof-invalid' });
  mediator.send(pattern(10));
  t.is(pair.takeFrom('mediator')?.label, 2);
});

test('P4.2: RESUMEs of many parts resume four thousand streams', t => {
  const pair = attachedPair({ budgetBytes: 1 << 28 });
  const all = Array.from({ length: 4000 }, () => connectedStreams(pair));
  const records = all.map(({ mediator, terminal }) => [record(mediator), record(terminal)] as const);
  for (const { terminal } of all) terminal.send(pattern(10));
  loseAll(pair, 'terminal');
  suspendBoth(pair);
  pair.rebind();
  const parts: number[] = [];
  pair.settle(frame => {
    if (frame.type === frameType.resume) parts.push(frame.bytes.length);
    return frame.bytes;
  });
  t.true(parts.length > 6, `${parts.length}`);
  t.true(records.every(([atMediator]) => atMediator.bytes().equals(pattern(10))));
});

test('P4.5: a RESET is told again until its ECHO has come', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  const atMediator = record(mediator);
  terminal.abort('aborted');
  loseAll(pair, 'terminal');
  suspendBoth(pair);
  pair.rebind();
  loseAll(pair, 'terminal');
  pair.rebind();
  pair.settle();
  t.deepEqual(atMediator.told, ['reset aborted']);
  assertAllFree(t, pair);
});

test('P4.5: an ECHO that was lost is asked for again, and answered though the stream is past', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  const atMediator = record(mediator);
  terminal.abort('aborted');
  pair.deliverTo('mediator', pair.takeFrom('terminal')?.bytes ?? Buffer.alloc(0));
  loseAll(pair, 'mediator');
  suspendBoth(pair);
  t.is(pair.terminal.attachment.pendingResets, 1);
  pair.rebind();
  pair.settle();
  t.deepEqual(atMediator.told, ['reset aborted']);
  assertAllFree(t, pair);
});

test('P4.5: a stream that one end has forgotten finishes at the other, whose last acknowledgement was lost', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const [atTerminal, atMediator] = [record(terminal), record(mediator)];
  terminal.finish();
  pair.settle();
  mediator.finish();
  pair.settle(frame => (frame.type === frameType.window ? undefined : frame.bytes));
  suspendBoth(pair);
  t.deepEqual(atTerminal.told, ['fin', 'finished']);
  t.deepEqual(atMediator.told, ['fin']);
  pair.rebind();
  pair.settle();
  t.deepEqual(atMediator.told, ['fin', 'finished']);
  assertAllFree(t, pair);
});

test('P4.5: a stream whose creating message was lost is not seen yet, and goes on once it has come', t => {
  const pair = attachedPair();
  const made = pair.terminal.attachment.createStream(4096);
  if (made === undefined) return t.fail();
  const { stream, limit } = made;
  record(stream);
  const command: Command = {
    id: 1,
    verb: 'connect',
    port: 1,
    address: '192.0.2.1',
    number: 80,
    stream: stream.id,
    limit,
  };
  pair.terminal.attachment.sendCommand(command, stream);
  stream.send(pattern(100));
  t.deepEqual(loseAll(pair, 'terminal'), ['command', 'data']);
  suspendBoth(pair);
  pair.rebind();
  const names: string[] = [];
  pair.settle((frame, from) => {
    names.push(`${from} ${frameNameOf(frame.type)}`);
    if (from === 'terminal' && frame.type === frameType.data)
      pair.mediator.attachment.acceptStream(stream.id, limit);
    return frame.bytes;
  });
  t.deepEqual(names.slice(0, 4), ['terminal resume', 'mediator resume', 'terminal command', 'terminal data']);
  t.is(pair.mediator.commands.length, 1);
});

test('P4.5: a peer that has lost a stream without its FINs gets RESET cannot-resume, and both owners are told', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const [atTerminal, atMediator] = [record(terminal), record(mediator)];
  terminal.send(pattern(10));
  pair.settle();
  // A mediator that has forgotten the stream, as no honest one does.
  const forged = encodeFrame(
    { type: frameType.reset, flags: 0, label: 2, stream: terminal.id },
    encodeReset(26),
  );
  pair.deliverTo('mediator', forged);
  loseAll(pair, 'mediator');
  suspendBoth(pair);
  pair.rebind();
  pair.settle();
  t.deepEqual(atTerminal.told, ['reset cannot-resume']);
  t.deepEqual(atMediator.told, ['reset aborted']);
  assertAllFree(t, pair);
});

test('P4.6: a mediator that holds nothing of what the terminal goes on from says terminal-gone', t => {
  const pair = attachedPair();
  const { pool, now } = { pool: new SlabPool(), now: () => 0 };
  const { receiveBudget, replayBudget } = pair.mediator;
  const nobody = {
    onCommand() {},
    onResult() {},
    onEvent() {},
    onDatagram() {},
    onOpen() {},
    onControlRoom() {},
  };
  const fresh = new Attachment('mediator', { pool, now, receiveBudget, replayBudget }, nobody);
  const { terminal, mediator } = connectedStreams(pair);
  const atTerminal = record(terminal);
  mediator.send(pattern(10));
  pair.settle();
  suspendBoth(pair);
  pair.rebind(fresh);
  t.throws(() => pair.settle(), { code: 'terminal-gone' });
  pair.terminal.attachment.unbind('terminal-gone');
  t.deepEqual(atTerminal.told, ['reset terminal-gone']);
});

test('P4.7: datagrams do not outlive a label, and those that found none are counted', t => {
  const pair = attachedPair();
  const send = () =>
    pair.terminal.attachment.sendDatagram({
      port: 1,
      peerAddress: '::1',
      peerNumber: 1,
      bytes: Buffer.alloc(9),
    });
  send();
  suspendBoth(pair);
  send();
  t.is(pair.terminal.attachment.droppedDatagrams, 2);
  pair.rebind();
  pair.settle();
  t.is(pair.mediator.datagrams.length, 0);
  send();
  pair.settle();
  t.is(pair.mediator.datagrams.length, 1);
});

test('P4.6: the end of the hold resets every stream and gives everything back', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  const atMediator = record(mediator);
  mediator.send(pattern(100));
  suspendBoth(pair);
  for (const end of [pair.terminal, pair.mediator]) end.attachment.unbind('terminal-gone');
  t.deepEqual(atMediator.told, ['reset terminal-gone']);
  assertAllFree(t, pair);
});

test('P2.1: the link of an earlier label gets nothing of the next', t => {
  const outlet = new LabelOutlet(new ControlStream('terminal'));
  const keys = { send: randomBytes(32), receive: randomBytes(32) };
  const bind = (label: number) => {
    const link = new Scheduler(() => {});
    const binding = {
      label,
      keys,
      credit: new HopCredit(1 << 20),
      wake: (source: LabelSource) => link.wake(source),
    };
    const exchange = new ResumeExchange('terminal', binding);
    exchange.queueOwn({ streams: [], control: 0, mark: 0, resets: [], controlLimit: 256 });
    outlet.bind(binding, exchange);
    return link;
  };
  const [first, second] = [bind(1), bind(3)];
  t.is(first.take(), undefined);
  t.is(parseFrame(second.take() ?? Buffer.alloc(0)).label, 3);
});

test('P4.5: RESUME is the acknowledgement that a finished stream waits for to be forgotten', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const [atTerminal, atMediator] = [record(terminal), record(mediator)];
  mediator.finish();
  pair.settle();
  pair.passDelay();
  terminal.finish();
  // The FIN comes, and its acknowledgement is lost.
  pair.settle((frame, from) => (from === 'mediator' ? undefined : frame.bytes));
  suspendBoth(pair);
  pair.rebind();
  pair.settle();
  t.deepEqual(atMediator.told, ['fin', 'finished']);
  t.deepEqual(atTerminal.told, ['fin', 'finished']);
  assertAllFree(t, pair);
});

test('P4.5: what was acknowledged in a RESUME that was lost stays so', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const [atTerminal, atMediator] = [record(terminal, true), record(mediator)];
  terminal.finish();
  pair.settle();
  mediator.send(pattern(10));
  mediator.finish();
  const lastWindow = (frame: { type: number }, from: string) =>
    from === 'terminal' && frame.type === frameType.window;
  pair.settle((frame, from) => (lastWindow(frame, from) ? undefined : frame.bytes));
  suspendBoth(pair);
  terminal.taken(10);
  pair.rebind();
  loseAll(pair, 'terminal');
  pair.rebind();
  pair.settle();
  t.deepEqual(atTerminal.told, ['fin', 'finished']);
  t.deepEqual(atMediator.told, ['fin', 'finished']);
  assertAllFree(t, pair);
});

test('P4.6: what is kept for a RESET behind its bytes is given back at the end of the hold', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  record(terminal);
  const atMediator = record(mediator);
  mediator.send(pattern(100));
  mediator.abortAfterData('peer-reset');
  loseAll(pair, 'mediator');
  suspendBoth(pair);
  t.true(pair.mediator.replayBudget.freeBytes < pair.mediator.replayBudget.totalBytes);
  for (const end of [pair.terminal, pair.mediator]) end.attachment.unbind('terminal-gone');
  t.deepEqual(atMediator.told, []);
  assertAllFree(t, pair);
});
