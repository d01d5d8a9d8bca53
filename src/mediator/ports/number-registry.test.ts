import test from 'ava';
import { type NumberHolder, NumberRegistry } from './number-registry.ts';

function holderOf(terminal: string, away: boolean, released: string[] = []): NumberHolder {
  return { terminal, away, release: (...what) => released.push(what.join(' ')) };
}

const somebody = holderOf('somebody', false);

test('a number is held for its protocol and address until it is given up', t => {
  const numbers = new NumberRegistry();
  const giveUp = numbers.claim('tcp', '192.168.1.1', 80, somebody);
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
  const giveUp = numbers.claim('tcp', '0.0.0.0', 80, somebody);
  t.false(numbers.isFree('tcp', '192.168.1.1', 80));
  t.true(numbers.isFree('tcp', 'fd00::1', 80));
  giveUp();
  numbers.claim('tcp', 'fd00::1', 80, somebody);
  t.false(numbers.isFree('tcp', '::', 80));
  t.true(numbers.isFree('tcp', '0.0.0.0', 80));
});

test('P4.6: only numbers of an attachment of the same terminal that is away may be taken over', t => {
  const numbers = new NumberRegistry();
  const released: string[] = [];
  const wanting = holderOf('A', false);
  const holders = {
    away: holderOf('A', true, released),
    there: holderOf('A', false),
    other: holderOf('B', true),
  };
  numbers.claim('tcp', '192.168.1.1', 80, holders.away);
  numbers.claim('tcp', '192.168.1.1', 81, holders.there);
  numbers.claim('tcp', '192.168.1.1', 82, holders.other);
  numbers.claim('tcp', '192.168.1.1', 83, holders.away);
  numbers.claim('tcp', '192.168.1.2', 83, holders.there);
  const may = (address: string, number: number) => numbers.mayTakeOver('tcp', address, number, wanting);
  t.deepEqual(
    [80, 81, 82, 83, 84].map(number => may('192.168.1.1', number)),
    [true, false, false, true, true],
  );
  t.false(may('0.0.0.0', 83));
  numbers.takeOver('tcp', '0.0.0.0', 83, wanting);
  numbers.takeOver('tcp', '192.168.1.1', 82, wanting);
  t.deepEqual(released, ['tcp 192.168.1.1 83']);
});
