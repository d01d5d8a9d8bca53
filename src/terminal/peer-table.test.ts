import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { maxPeers, PeerTable, peerIdleMs } from './peer-table.ts';

function table() {
  const clock = fakeClock();
  const closed: string[] = [];
  return { clock, closed, peers: new PeerTable<string>(clock, value => closed.push(value)) };
}

test('P7.6: a peer lasts 120 s from the last datagram of either direction', t => {
  const { clock, closed, peers } = table();
  t.is(
    peers.get('192.0.2.1', 5, () => 'first'),
    'first',
  );
  clock.advance(peerIdleMs - 1);
  t.is(
    peers.get('192.0.2.1', 5, () => 'second'),
    'first',
  );
  clock.advance(peerIdleMs - 1);
  peers.touch('192.0.2.1', 5);
  clock.advance(peerIdleMs - 1);
  t.deepEqual(closed, []);
  clock.advance(1);
  t.deepEqual(closed, ['first']);
  t.is(
    peers.get('192.0.2.1', 5, () => 'second'),
    'second',
  );
});

test('beyond the cap new peers are turned away and counted, those there go on', t => {
  const { peers } = table();
  for (let port = 1; port <= maxPeers; port++) peers.get('192.0.2.1', port, () => `${port}`);
  t.is(
    peers.get('192.0.2.2', 1, () => 'too many'),
    undefined,
  );
  t.is(peers.refused, 1);
  t.is(
    peers.get('192.0.2.1', 7, () => 'new'),
    '7',
  );
});

test('a peer that has been replaced is not closed by its predecessor, and clear closes all', t => {
  const { closed, peers } = table();
  peers.get('192.0.2.1', 1, () => 'old');
  peers.remove('192.0.2.1', 1, 'old');
  peers.get('192.0.2.1', 1, () => 'new');
  peers.remove('192.0.2.1', 1, 'old');
  t.deepEqual(closed, ['old']);
  peers.clear();
  t.deepEqual(closed, ['old', 'new']);
  t.is(peers.size, 0);
});
