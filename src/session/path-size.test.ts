import test from 'ava';
import { fakeClock } from '../base/clock.ts';
import { PathSize } from './path-size.ts';

const peers = {
  ipv4: { address: '203.0.113.9', number: 8443 },
  ipv6: { address: '2001:db8::9', number: 8443 },
} as const;

/** A path that takes so much, loses what a test says, and answers after `delayMs`. */
function world({ most = 1472, delayMs = 30 }: { most?: number; delayMs?: number } = {}) {
  const clock = fakeClock();
  const told: number[] = [];
  const made = { most, asked: [] as number[], isDown: false, loses: (_nth: number) => false };
  const size = new PathSize({
    clock,
    send(id, packetBytes) {
      made.asked.push(packetBytes);
      if (made.isDown || packetBytes > made.most || made.loses(made.asked.length)) return;
      clock.after(delayMs, () => size.onSized(id, packetBytes));
    },
    onChange: packetBytes => told.push(packetBytes),
  });
  return { clock, told, size, path: made };
}

test('P7.5: a path like an Ethernet is known after one question', t => {
  for (const [peer, bytes] of [
    [peers.ipv4, 1472],
    [peers.ipv6, 1452],
  ] as const) {
    const { clock, told, size, path } = world({ most: bytes });
    t.is(size.packetBytes, 1200);
    size.begin(peer);
    clock.advance(3_600_000);
    t.deepEqual(path.asked, [bytes]);
    t.deepEqual(told, [bytes]);
  }
});

test('P7.5: the size of a shorter path is found to four bytes, and never more than it takes', t => {
  for (let most = 1200; most <= 1472; most++) {
    const { clock, told, size } = world({ most });
    size.begin(peers.ipv4);
    clock.advance(60_000);
    t.true(size.packetBytes <= most && size.packetBytes > most - 4, `${size.packetBytes} of ${most}`);
    t.true(told.every(each => each <= most));
  }
});

test('P7.5: half of the questions may be lost', t => {
  const { clock, size, path } = world({ most: 1392 });
  path.loses = nth => nth % 2 === 0;
  size.begin(peers.ipv4);
  clock.advance(60_000);
  t.is(size.packetBytes, 1392);
});

test('P7.5: a black hole is noticed when it is asked for, and a path that is longer again after ten minutes', t => {
  const { clock, size, path } = world();
  size.begin(peers.ipv4);
  clock.advance(1_000);
  path.most = 1252;
  size.confirm(true);
  clock.advance(2_000);
  t.is(size.packetBytes, 1200, 'what every path bears, at once');
  clock.advance(20_000);
  t.is(size.packetBytes, 1252);
  path.most = 1472;
  clock.advance(500_000);
  size.confirm(true);
  clock.advance(1_000);
  t.is(size.packetBytes, 1252);
  clock.advance(100_000);
  size.confirm(true);
  clock.advance(1_000);
  t.is(size.packetBytes, 1472);
});

test('P7.5: while nothing is sent nothing is asked', t => {
  for (const most of [1472, 1252, 1200]) {
    const { clock, size, path } = world({ most });
    size.begin(peers.ipv4);
    clock.advance(60_000);
    const before = path.asked.length;
    for (let hours = 0; hours < 24; hours++) {
      clock.advance(3_600_000);
      size.confirm(false);
    }
    t.is(path.asked.length, before);
  }
});

test('P7.5: while nothing passes no size counts as too long, and little is asked', t => {
  const { clock, size, path } = world();
  size.begin(peers.ipv4);
  clock.advance(1_000);
  path.isDown = true;
  size.confirm(true);
  clock.advance(3_600_000);
  t.is(size.packetBytes, 1472);
  t.is(path.asked.length, 1 + 3 + 3);
  path.isDown = false;
  size.confirm(true);
  clock.advance(1_000);
  t.is(size.packetBytes, 1472);
  t.is(path.asked.at(-1), 1472);
});

test('P7.5: where not even 1,200 bytes are answered it is known, until they are', t => {
  const { clock, told, size, path } = world({ most: 1100 });
  size.begin(peers.ipv4);
  t.true(size.passesBase);
  clock.advance(60_000);
  t.false(size.passesBase);
  t.deepEqual([size.packetBytes, told], [1200, [1200]]);
  size.confirm(true);
  clock.advance(1_000);
  t.false(size.passesBase, 'asking again is no answer');
  path.most = 1200;
  clock.advance(60_000);
  t.true(size.passesBase);
  t.deepEqual([size.packetBytes, told], [1200, [1200, 1200]]);
});

test('P7.5: another path is searched anew, whatever was asked for on the one before', t => {
  const { clock, told, size, path } = world({ delayMs: 500 });
  size.begin(peers.ipv4);
  clock.advance(400);
  path.most = 1300;
  size.begin(peers.ipv4);
  clock.advance(200);
  t.deepEqual(told, [], 'an answer of the old path says nothing of the new one');
  clock.advance(60_000);
  t.is(size.packetBytes, 1300);
});

test('P7.5: an answer that nobody asked for, or of another length, raises nothing', t => {
  const { clock, size, path } = world({ most: 1200 });
  size.begin(peers.ipv4);
  size.onSized(1, 1471);
  size.onSized(77, 1472);
  t.is(size.packetBytes, 1200);
  size.stop();
  clock.advance(60_000);
  t.is(path.asked.length, 1);
});
