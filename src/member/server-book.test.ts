import test from 'ava';
import { parseServerAddress, serverAddressText } from '../policy/server-address.ts';
import type { LastServer } from './directory.ts';
import { ServerBook } from './server-book.ts';

const [one, two] = ['one.example:8443', 'two.example:8443'];
const servers = [one, two].map(parseServerAddress);

function makeBook(last?: LastServer) {
  const kept: LastServer[] = [];
  const book = new ServerBook(last, newer => kept.push(newer));
  const order = (hinted?: string, among = servers) => book.order(among, hinted).map(serverAddressText);
  return { book, kept, order };
}

test('the server that was last good is tried first, the others as they stand', t => {
  t.deepEqual(makeBook().order(), [one, two]);
  t.deepEqual(makeBook({ server: two, addresses: [] }).order(), [two, one]);
  const { book, order } = makeBook();
  book.onGood(parseServerAddress(two), '192.0.2.2:8443');
  t.deepEqual(order(), [two, one]);
});

test('P1.10: the server that a GOAWAY names comes before all, and what is no address is left out', t => {
  t.deepEqual(makeBook({ server: two, addresses: [] }).order('three.example:1'), [
    'three.example:1',
    two,
    one,
  ]);
  t.deepEqual(makeBook().order(two), [two, one]);
  t.deepEqual(makeBook().order('no address'), [one, two]);
});

test('a last good server that is none of the servers any more is not tried', t => {
  t.deepEqual(makeBook({ server: 'old.example:1', addresses: ['192.0.2.9'] }).order(), [one, two]);
});

test('what is kept is written only when it changes', t => {
  const { book, kept } = makeBook();
  const [first, second] = servers.map(server => ({ server }));
  if (first === undefined || second === undefined) return t.fail();
  book.onGood(first.server, '192.0.2.1:8443');
  book.onGood(first.server, '192.0.2.1:8443');
  t.is(kept.length, 1);
  book.onGood(first.server, '[2001:db8::1]:8443');
  book.onGood(second.server, '192.0.2.2:8443');
  t.deepEqual(kept.slice(1), [
    { server: one, addresses: ['2001:db8::1'] },
    { server: two, addresses: ['192.0.2.2'] },
  ]);
  t.deepEqual(book.knownAddresses(second.server), ['192.0.2.2']);
  t.deepEqual(book.knownAddresses(first.server), []);
});
