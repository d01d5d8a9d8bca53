import test from 'ava';
import { finDataRoom, HopCredit } from './hop-credit.ts';

const kib = 1024;

test('P2.3: the last 16 KiB are for frames other than DATA', t => {
  const credit = new HopCredit(64 * kib);
  t.is(credit.room, 64 * kib);
  t.is(credit.dataRoom, 48 * kib);
  credit.spend(48 * kib);
  t.is(credit.dataRoom, 0);
  t.is(credit.room, 16 * kib);
});

test('P2.3: a FIN goes as long as the reserve holds one', t => {
  const credit = new HopCredit(16 * kib);
  t.true(credit.dataRoom >= finDataRoom);
  credit.spend(16 * kib - 64);
  t.true(credit.dataRoom >= finDataRoom);
  credit.spend(1);
  t.false(credit.dataRoom >= finDataRoom);
});

test('P2.3: CREDIT is a total: one that was overtaken takes nothing back', t => {
  const credit = new HopCredit(1000);
  credit.spend(900);
  credit.onCredit({ allowed: 5000, linkReceived: 0 });
  t.is(credit.room, 4100);
  credit.onCredit({ allowed: 2000, linkReceived: 0 });
  t.is(credit.room, 4100);
  credit.onCredit({ allowed: 5001, linkReceived: 0 });
  t.is(credit.room, 4101);
});
