import test from 'ava';
import { Budget } from './budget.ts';
import { SendHalf } from './send-half.ts';
import { SlabPool, slabHeadroom } from './slab.ts';
import { emptyLink, pattern, streamFrameText } from './testing/frames.ts';

const header = { label: 1, stream: 1 };
const everything = Number.MAX_SAFE_INTEGER;

function makeHalf({ limit = 1 << 30, share = 64 * 1024, budgetBytes = 1 << 20 } = {}) {
  const budget = new Budget(budgetBytes);
  budget.reserve(share);
  const half = new SendHalf(new SlabPool(), budget, limit, share);
  const take = (dataRoom = everything) => {
    const frame = half.take(header, dataRoom, emptyLink);
    return frame === undefined ? undefined : streamFrameText(frame);
  };
  const takeAll = () => {
    const frames: string[] = [];
    for (let frame = take(); frame !== undefined; frame = take()) frames.push(frame);
    return frames;
  };
  const window = (received: number, newLimit = limit) =>
    half.onWindow({ received, limit: newLimit, yields: 0 });
  return { half, budget, take, takeAll, window };
}

test('P3.2: what is sent ends at the limit, in the middle of what was handed over, and goes on from there', t => {
  const { half, takeAll } = makeHalf({ limit: 10 });
  half.addCopy(pattern(25));
  t.deepEqual(takeAll(), ['DATA 0+10']);
  half.raiseLimit(9);
  t.deepEqual(takeAll(), []);
  half.raiseLimit(12);
  t.deepEqual(takeAll(), ['DATA 10+2']);
  half.raiseLimit(100);
  t.deepEqual(takeAll(), ['DATA 12+13']);
});

test('P3.2: nothing is sent beyond received + share, even when more was handed over than there was room for', t => {
  const { half, takeAll, window } = makeHalf({ share: 4096, budgetBytes: 4096 });
  half.addCopy(pattern(6000));
  t.is(half.roomBytes, 0);
  t.deepEqual(takeAll(), ['DATA 0+4096 NOW']);
  window(1000);
  t.deepEqual(takeAll(), ['DATA 4096+1000 NOW']);
  t.is(half.roomBytes, 0);
  window(5096);
  t.deepEqual(takeAll(), ['DATA 5096+904']);
  t.is(half.roomBytes, 4096 - 904);
});

test('P3.1: NOW stands only where the sender is blocked on received, and once until that moves', t => {
  const { half, takeAll, window } = makeHalf({ share: 4096, budgetBytes: 4096 });
  half.addCopy(pattern(4000));
  t.deepEqual(takeAll(), ['DATA 0+4000']);
  half.addCopy(pattern(96));
  t.deepEqual(takeAll(), ['DATA 4000+96 NOW']);
  window(50);
  half.addCopy(pattern(20));
  t.deepEqual(takeAll(), ['DATA 4096+20']);
  half.addCopy(pattern(30));
  t.deepEqual(takeAll(), ['DATA 4116+30 NOW']);
});

test('P3.1: a sender that has only its FIN left is not blocked, and neither is one that waits for the limit', t => {
  const ending = makeHalf({ share: 4096, budgetBytes: 4096 });
  ending.half.addCopy(pattern(4096));
  ending.half.finish();
  t.deepEqual(ending.takeAll(), ['DATA 0+4096', 'FIN 4096']);
  const limited = makeHalf({ share: 4096, limit: 1000, budgetBytes: 4096 });
  limited.half.addCopy(pattern(4096));
  t.deepEqual(limited.takeAll(), ['DATA 0+1000']);
});

test('P2.3: DATA goes when the whole frame fits the credit, and not before', t => {
  const { half, take } = makeHalf();
  half.addCopy(pattern(100));
  t.is(take(slabHeadroom + 99), undefined);
  t.is(take(slabHeadroom + 100), 'DATA 0+100');
});

test('P3.6: FIN occupies the offset behind the last byte and needs no window', t => {
  const { half, takeAll, window } = makeHalf({ limit: 3 });
  half.addCopy(pattern(3));
  half.finish();
  t.deepEqual(takeAll(), ['DATA 0+3', 'FIN 3']);
  t.false(half.finished);
  window(3);
  t.false(half.finished);
  window(4);
  t.true(half.finished);
  t.is(makeAndFinish(), 'FIN 0');
});

function makeAndFinish(): string | undefined {
  const { half, take } = makeHalf({ limit: 0 });
  half.finish();
  return take();
}

test('P3.1: WINDOWs are totals: an older or repeated one changes nothing, that of the FIN neither', t => {
  const { half, takeAll, window } = makeHalf({ limit: 100 });
  half.addCopy(pattern(50));
  half.finish();
  takeAll();
  window(40, 200);
  window(20, 100);
  t.is(half.roomBytes, 0);
  window(51, 200);
  t.true(half.finished);
  window(51, 200);
  window(30, 50);
  t.true(half.finished);
});

test('P3.1: acknowledging what was never sent is protocol-error, the FIN that waits included', t => {
  const { half, window, take } = makeHalf({ limit: 10 });
  half.addCopy(pattern(20));
  take();
  t.throws(() => window(11), { code: 'protocol-error' });
  const ending = makeHalf();
  ending.half.addCopy(pattern(5));
  ending.half.finish();
  ending.take();
  t.throws(() => ending.window(6), { code: 'protocol-error' });
  ending.take();
  t.notThrows(() => ending.window(6));
  t.throws(() => ending.window(7), { code: 'protocol-error' });
});

test('P3.5: a RESET discards what is unsent, goes once, and needs neither window nor credit', t => {
  const { half, take } = makeHalf({ limit: 10 });
  half.addCopy(pattern(20));
  t.is(take(), 'DATA 0+10');
  t.true(half.abort(26));
  t.false(half.abort(25));
  t.is(take(0), 'RESET 26');
  t.is(take(), undefined);
  t.is(half.roomBytes, 0);
});

test('P3.5: a RESET may go behind all bytes, if any wait', t => {
  const { half, takeAll } = makeHalf({ limit: 10 });
  half.addCopy(pattern(20));
  t.true(half.abortAfterData(25));
  t.deepEqual(takeAll(), ['DATA 0+10']);
  t.false(half.reset);
  half.raiseLimit(20);
  t.deepEqual(takeAll(), ['DATA 10+10', 'RESET 25']);
  t.true(half.reset);
  t.false(makeHalf().half.abortAfterData(25));
});

test('P3.3: a share doubles while more than half of it is under way and half the budget is free', t => {
  const share = 16 * 1024;
  const { half, budget, takeAll, window } = makeHalf({ share });
  const shares: number[] = [];
  for (let round = 0; round < 12; round++) {
    half.addCopy(pattern(half.roomBytes));
    takeAll();
    shares.push(budget.totalBytes - budget.freeBytes);
    window(half.endOffset);
  }
  t.deepEqual(shares.slice(0, 4), [share, 2 * share, 4 * share, 8 * share]);
  t.is(
    shares.at(-1),
    budget.totalBytes,
    'a budget of which more than half is taken gives no more than it has',
  );
  half.release();
  half.release();
  t.is(budget.freeBytes, budget.totalBytes);
});

test('P3.3: a share of which little is under way stays as it is', t => {
  const { half, budget, takeAll, window } = makeHalf({ share: 16 * 1024 });
  for (let round = 0; round < 20; round++) {
    half.addCopy(pattern(8000));
    takeAll();
    window(half.endOffset);
  }
  t.is(budget.totalBytes - budget.freeBytes, 16 * 1024);
});

test('one byte at a time cannot pin more memory than a share stands for', t => {
  const { half } = makeHalf({ share: 4096 });
  let writes = 0;
  for (; half.roomBytes > 0; writes++) half.addCopy(pattern(1));
  t.true(writes <= 100, `${writes}`);
});

test('P4.4: on a new label what the peer lacks goes again from where it stands, FIN too', t => {
  const { half, takeAll, window } = makeHalf();
  half.addCopy(pattern(100));
  takeAll();
  half.addCopy(pattern(50));
  half.finish();
  t.deepEqual(takeAll(), ['DATA 100+50', 'FIN 150']);
  window(100);
  t.true(half.rewind({ received: 100, limit: 1000, yields: 0 }));
  t.false(half.finSent);
  t.throws(() => window(120), { code: 'protocol-error' }, 'not sent yet on this label');
  t.deepEqual(takeAll(), ['DATA 100+50', 'FIN 150']);
  t.is(half.resentBytes, 50);
  t.true(half.rewind({ received: 151, limit: 1000, yields: 0 }));
  t.true(half.finished);
  t.deepEqual(takeAll(), []);
});

test('P4.4: bytes that were forgotten or never sent cannot be resumed, and nothing changes', t => {
  const { half, takeAll, window } = makeHalf({ limit: 60 });
  half.addCopy(pattern(100));
  takeAll();
  window(20, 60);
  for (const received of [19, 61, 101]) t.false(half.rewind({ received, limit: 100, yields: 0 }));
  t.deepEqual(takeAll(), []);
  t.true(half.rewind({ received: 60, limit: 100, yields: 0 }));
  t.deepEqual(takeAll(), ['DATA 60+40']);
});

test('P4.4: a slab that the link before still writes is not touched by the next label', t => {
  const { half } = makeHalf();
  half.addCopy(pattern(8000));
  const slow = { writtenBytes: 0, leftBytes: 0 };
  const frame = half.take(header, everything, slow) ?? Buffer.alloc(0);
  const written = Buffer.from(frame);
  half.rewind({ received: 0, limit: 0, yields: 0 });
  const again = half.take({ label: 3, stream: 1 }, everything, emptyLink) ?? Buffer.alloc(0);
  t.true(frame.equals(written));
  t.true(again.subarray(12).equals(written.subarray(12)));
});

test('P4.5: a RESET goes again on a new label', t => {
  const { half, take } = makeHalf();
  half.abort(26);
  t.is(take(), 'RESET 26');
  half.repeatReset();
  t.is(half.resetReason, 26);
  t.is(take(), 'RESET 26');
});

/** A half that was idle for two rounds, with `limit` and all else acknowledged. */
function idleHalf(limit = 65_536) {
  const made = makeHalf({ limit });
  made.half.addCopy(pattern(100));
  made.takeAll();
  made.window(100);
  made.half.sweep();
  made.half.sweep();
  return made;
}

test('P3.3: a sender that was idle gives its window back by YIELD, and its share at once', t => {
  const { half, budget, takeAll, window } = makeHalf({ limit: 65_536 });
  half.addCopy(pattern(100));
  takeAll();
  t.false(half.sweep(), 'it has sent since it was last looked at');
  t.false(half.sweep(), 'what it has sent is not acknowledged');
  window(100);
  t.is(budget.freeBytes, (1 << 20) - 65_536);
  t.true(half.sweep());
  t.is(budget.freeBytes, (1 << 20) - 4096);
  t.deepEqual(takeAll(), ['YIELD 100']);
  t.false(half.hasSpare);
  t.false(half.sweep());
});

test('P3.3: a WINDOW that was made before the YIELD came raises no limit, one after it does', t => {
  const { half, takeAll } = idleHalf();
  t.deepEqual(takeAll(), ['YIELD 100']);
  half.addCopy(pattern(50));
  half.onWindow({ received: 100, limit: 131_072, yields: 0 });
  t.deepEqual(takeAll(), []);
  half.onWindow({ received: 100, limit: 4196, yields: 1 });
  t.deepEqual(takeAll(), ['DATA 100+50']);
});

test('P3.3: bytes that come before the YIELD has gone go instead of it', t => {
  const { half, takeAll } = idleHalf();
  half.addCopy(pattern(50));
  t.deepEqual(takeAll(), ['DATA 100+50']);
});

test('P3.3: no YIELD for a window of the floor, nor from who has finished', t => {
  t.deepEqual(idleHalf(100 + 4096).takeAll(), []);
  const { half, takeAll } = makeHalf();
  half.finish();
  half.sweep();
  half.sweep();
  t.deepEqual(takeAll(), ['FIN 0']);
});

test('P4.4: a YIELD that was lost with its label never was, and one that came stays', t => {
  const lost = idleHalf();
  t.deepEqual(lost.takeAll(), ['YIELD 100']);
  t.true(lost.half.rewind({ received: 100, limit: 65_536, yields: 0 }));
  lost.half.addCopy(pattern(10));
  t.deepEqual(lost.takeAll(), ['DATA 100+10']);
  const came = idleHalf();
  t.deepEqual(came.takeAll(), ['YIELD 100']);
  t.true(came.half.rewind({ received: 100, limit: 4196, yields: 1 }));
  came.half.onWindow({ received: 100, limit: 131_072, yields: 0 });
  came.half.addCopy(pattern(10_000));
  t.deepEqual(came.takeAll(), ['DATA 100+4096 NOW']);
});

test('P4.4: a peer that never saw the stream allows again what it allowed first', t => {
  const { half, takeAll } = makeHalf({ limit: 65_536 });
  half.sweep();
  half.sweep();
  t.deepEqual(takeAll(), ['YIELD 0']);
  half.addCopy(pattern(10));
  t.deepEqual(takeAll(), []);
  t.true(half.rewindToStart());
  t.deepEqual(takeAll(), ['DATA 0+10']);
});
