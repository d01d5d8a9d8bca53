import test from 'ava';
import fc from 'fast-check';
import { Budget } from '../session/budget.ts';
import { CreditLedger, firstCreditBytes } from './credit-ledger.ts';

const kilobytes = (count: number) => count * 1024;

test('P2.3: a member may send what it was told, and not one byte more', t => {
  const ledger = new CreditLedger(new Budget(0));
  ledger.onReceived(firstCreditBytes);
  t.throws(() => ledger.onReceived(1), { code: 'over-credit' });
});

test('P2.3: credit rises when bytes have left, a quarter of the window at a time', t => {
  const ledger = new CreditLedger(new Budget(0));
  ledger.onReceived(kilobytes(200));
  t.false(ledger.due);
  ledger.onLeft(kilobytes(63), false);
  t.false(ledger.due);
  ledger.onLeft(kilobytes(1), false);
  t.true(ledger.due);
  t.is(ledger.tell(), firstCreditBytes + kilobytes(64));
  t.false(ledger.due);
});

test('P2.3: the window doubles up to 4 MiB when the member waited for credit while nothing waited for the far link', t => {
  const ledger = new CreditLedger(new Budget(kilobytes(10_000)));
  let allowed = firstCreditBytes;
  let received = 0;
  const windows: number[] = [];
  for (let round = 0; round < 6; round++) {
    ledger.onReceived(allowed - received);
    ledger.onLeft(allowed - received, true);
    received = allowed;
    allowed = ledger.tell();
    windows.push(ledger.windowBytes / 1024);
  }
  t.deepEqual(windows, [512, 1024, 2048, 4096, 4096, 4096]);
});

test('P2.3: the window does not grow when the far link is what is slow, nor when the member had credit left', t => {
  const slow = new CreditLedger(new Budget(kilobytes(10_000)));
  slow.onReceived(firstCreditBytes);
  slow.onLeft(firstCreditBytes, false);
  t.is(slow.windowBytes, firstCreditBytes);
  const idle = new CreditLedger(new Budget(kilobytes(10_000)));
  idle.onReceived(kilobytes(100));
  idle.onLeft(kilobytes(100), true);
  t.is(idle.windowBytes, firstCreditBytes);
});

test('P2.3: growth comes from one budget and goes back to it', t => {
  const budget = new Budget(kilobytes(256));
  const [first, second] = [new CreditLedger(budget), new CreditLedger(budget)];
  for (const ledger of [first, second]) {
    ledger.onReceived(firstCreditBytes);
    ledger.onLeft(firstCreditBytes, true);
  }
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
      const ledger = new CreditLedger(new Budget(kilobytes(1024)));
      let told = firstCreditBytes;
      let received = 0;
      let left = 0;
      for (const { send, leave } of script) {
        const sending = Math.min(send, told - received);
        ledger.onReceived(sending);
        received += sending;
        const leaving = leave ? Math.min(20_000, received - left) : 0;
        left += leaving;
        ledger.onLeft(leaving, left === received);
        if (ledger.due) told = ledger.tell();
        t.true(told - left <= ledger.windowBytes);
      }
    }),
    { numRuns: 100 },
  );
});
