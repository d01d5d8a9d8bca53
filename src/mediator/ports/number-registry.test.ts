import test from 'ava';
import { NumberRegistry } from './number-registry.ts';

test('a number is held for its protocol and address until it is given up', t => {
  const numbers = new NumberRegistry();
  const giveUp = numbers.claim('tcp', '192.168.1.1', 80);
  t.false(numbers.isFree('tcp', '192.168.1.1', 80));
  t.true(numbers.isFree('udp', '192.168.1.1', 80));
  t.true(numbers.isFree('tcp', '192.168.1.2', 80));
  t.true(numbers.isFree('tcp', '192.168.1.1', 81));
  giveUp();
  giveUp();
  t.true(numbers.isFree('tcp', '192.168.1.1', 80));
});

test('a wildcard holds the number of every address of its family, and the other way round', t => {
  const numbers = new NumberRegistry();
  const giveUp = numbers.claim('tcp', '0.0.0.0', 80);
  t.false(numbers.isFree('tcp', '192.168.1.1', 80));
  t.true(numbers.isFree('tcp', 'fd00::1', 80));
  giveUp();
  numbers.claim('tcp', 'fd00::1', 80);
  t.false(numbers.isFree('tcp', '::', 80));
  t.true(numbers.isFree('tcp', '0.0.0.0', 80));
});
