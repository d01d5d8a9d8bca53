import test from 'ava';
import { EventFeed, type FedEvent } from './event-feed.ts';

function follow(feed: EventFeed, afterId = 0) {
  const seen: FedEvent[] = [];
  let ended = false;
  const stop = feed.follow(
    afterId,
    event => seen.push(event),
    () => {
      ended = true;
    },
  );
  return { seen, stop, ended: () => ended };
}

test('who comes back with the last id gets what came since, and what comes', t => {
  const feed = new EventFeed();
  for (const n of [1, 2, 3]) feed.add('fin', { n });
  const { seen } = follow(feed, 1);
  feed.add('rst', { n: 4 });
  t.deepEqual(
    seen.map(({ id, kind, data }) => [id, kind, data.n]),
    [
      [2, 'fin', 2],
      [3, 'fin', 3],
      [4, 'rst', 4],
    ],
  );
});

test('what is kept no more is told as lost, with how many', t => {
  const feed = new EventFeed();
  for (let n = 1; n <= 1_500; n++) feed.add('syn', { n });
  const { seen } = follow(feed, 100);
  t.deepEqual(seen[0], { id: 500, kind: 'lost', data: { count: 400 } });
  t.is(seen.length, 1_001);
  t.is(seen.at(-1)?.id, 1_500);
});

test('who has stopped is told nothing; the end is told to those who follow, and to late ones', t => {
  const feed = new EventFeed();
  const [one, other] = [follow(feed), follow(feed)];
  one.stop();
  feed.add('fin', {});
  feed.end();
  t.deepEqual([one.seen.length, one.ended()], [0, false]);
  t.deepEqual([other.seen.length, other.ended()], [1, true]);
  t.true(follow(feed).ended());
});
