import test from 'ava';
import { attachedPair, connectedStreams, record } from './testing/attached-pair.ts';

test('P3.5: a source that died behind its bytes: all of them arrive, then the RESET', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const atTerminal = record(terminal);
  const atMediator = record(mediator);
  mediator.send(Buffer.from('last words'));
  mediator.abortAfterData('peer-reset');
  t.is(mediator.roomBytes, 0);
  pair.settle();
  t.is(atTerminal.bytes().toString(), 'last words');
  t.deepEqual(atTerminal.told, ['reset peer-reset']);
  t.deepEqual(atMediator.told, []);
  t.is(pair.mediator.attachment.streamCount + pair.terminal.attachment.streamCount, 0);
  t.is(pair.mediator.replayBudget.freeBytes, pair.mediator.replayBudget.totalBytes);
  t.is(pair.mediator.receiveBudget.freeBytes, pair.mediator.receiveBudget.totalBytes);
});

test('P3.5: bytes that wait for the window keep the RESET waiting too, and a lost label ends it all the same', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const atTerminal = record(terminal, true);
  const atMediator = record(mediator);
  while (mediator.roomBytes > 0) {
    mediator.send(Buffer.alloc(mediator.roomBytes));
    pair.settle();
    pair.passDelay();
  }
  mediator.abortAfterData('peer-reset');
  pair.settle();
  t.deepEqual(atTerminal.told, []);
  pair.mediator.attachment.unbind('link-lost');
  t.is(atMediator.told.at(-1), 'reset link-lost');
  t.is(pair.mediator.attachment.streamCount, 0);
  t.is(pair.mediator.replayBudget.freeBytes, pair.mediator.replayBudget.totalBytes);
});

test('P3.5: a FIN that waits behind bytes becomes the RESET when the source dies', t => {
  const pair = attachedPair();
  const { terminal, mediator } = connectedStreams(pair);
  const atTerminal = record(terminal);
  record(mediator);
  mediator.send(Buffer.from('bytes'));
  mediator.finish();
  mediator.abortAfterData('peer-reset');
  pair.settle();
  t.is(atTerminal.bytes().toString(), 'bytes');
  t.deepEqual(atTerminal.told, ['reset peer-reset']);
});
