import test from 'ava';
import fc from 'fast-check';
import { Budget } from '../session/budget.ts';
import { CreditLedger, firstCreditBytes } from './credit-ledger.ts';

const kilobytes = (count: number) => count * 1024;

test('P2.3: a member may send what it was told, and not one byte more', t => {
  const ledger = new CreditLedger(new Budget(0), 0);
  ledger.onReceived(firstCreditBytes);
  t.throws(() => ledger.onReceived(1), { code: 'over-credit' });
});

const waiting = { empty: false };
const lastOne = { empty: true };

test('P2.3: credit rises when bytes have left, a quarter of the window at a time', t => {
  const ledger = new CreditLedger(new Budget(0), 0);
  ledger.onReceived(kilobytes(200));
  t.false(ledger.due);
  ledger.onLeft(kilobytes(63), waiting, 0);
  t.false(ledger.due);
  ledger.onLeft(kilobytes(1), waiting, 0);
  t.true(ledger.due);
  t.is(ledger.tell(), firstCreditBytes + kilobytes(64));
  t.false(ledger.due);
});

/** A member that always sends all it may, of which the far link takes everything; CREDIT goes as soon as it is due. */
function sendRounds(ledger: CreditLedger, rounds: number, everyMs: number, far = lastOne): number[] {
  let [allowed, received, nowMs] = [firstCreditBytes, 0, 0];
  return Array.from({ length: rounds }, () => {
    nowMs += everyMs;
    for (const end = allowed; received < end; received += kilobytes(16)) {
      ledger.onReceived(kilobytes(16));
      ledger.onLeft(kilobytes(16), far, nowMs, 100);
      if (ledger.due) allowed = ledger.tell();
    }
    return ledger.windowBytes / 1024;
  });
}

test('P2.3: the window doubles up to 4 MiB while the member sends a whole one within two round trips', t => {
  const ledger = new CreditLedger(new Budget(kilobytes(10_000)), 0);
  const windows = sendRounds(ledger, 12, 100);
  t.deepEqual([...new Set(windows)].slice(-4), [512, 1024, 2048, 4096]);
  t.is(ledger.windowBytes, 4 * 1024 * 1024);
});

test('P2.3: the window does not grow when the far link is what is slow, nor for a member that sends little', t => {
  const slow = new CreditLedger(new Budget(kilobytes(10_000)), 0);
  sendRounds(slow, 12, 100, waiting);
  t.is(slow.windowBytes, firstCreditBytes);
  const seldom = new CreditLedger(new Budget(kilobytes(10_000)), 0);
  sendRounds(seldom, 12, 201);
  t.is(seldom.windowBytes, firstCreditBytes);
});

test('P2.3: growth comes from one budget and goes back to it', t => {
  const budget = new Budget(kilobytes(256));
  const [first, second] = [new CreditLedger(budget, 0), new CreditLedger(budget, 0)];
  for (const ledger of [first, second]) sendRounds(ledger, 12, 100);
  t.deepEqual([first.windowBytes, second.windowBytes], [2 * firstCreditBytes, firstCreditBytes]);
  first.release();
  t.is(budget.freeBytes, kilobytes(256));
});

test('what can be in the queue never exceeds the window, whatever the order of things', t => {
  const steps = fc.array(fc.record({ send: fc.integer({ min: 1, max: 40_000 }), leave: fc.boolean() }), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(steps, script => {
      const ledger = new CreditLedger(new Budget(kilobytes(1024)), 0);
      let told = firstCreditBytes;
      let received = 0;
      let left = 0;
      for (const { send, leave } of script) {
        const sending = Math.min(send, told - received);
        ledger.onReceived(sending);
        received += sending;
        const leaving = leave ? Math.min(20_000, received - left) : 0;
        left += leaving;
        ledger.onLeft(leaving, { empty: left === received }, 0);
        if (ledger.due) told = ledger.tell();
        t.true(told - left <= ledger.windowBytes);
      }
    }),
    { numRuns: 100 },
  );
});
