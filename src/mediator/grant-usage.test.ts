import test from 'ava';
import { GrantUsage, UsageShare } from './grant-usage.ts';

test('a rate lets a burst of 200 ms go, and holds the average after that', t => {
  const usage = new GrantUsage({ newStreamsPerSecond: 1, ports: 1, streams: 1, bytesPerSecond: 1000 }, 0);
  t.is(usage.paceMs(100, 0), 0);
  t.is(usage.paceMs(100, 0), 0);
  t.is(usage.paceMs(500, 0), 500);
  t.is(usage.paceMs(500, 500), 500);
  t.is(usage.paceMs(1, 10_000), 0);
});

test('without a rate nothing waits', t => {
  const usage = new GrantUsage({ newStreamsPerSecond: 1, ports: 1, streams: 1 }, 0);
  t.is(usage.paceMs(1e9, 0), 0);
});

test('how long until one more stream may begin', t => {
  const usage = new GrantUsage({ newStreamsPerSecond: 2, ports: 1, streams: 3 }, 0);
  usage.addStream(0);
  usage.addStream(0);
  t.is(usage.streamWaitMs(0), 500);
  t.is(usage.streamWaitMs(500), 0);
  usage.addStream(500);
  t.is(usage.streamWaitMs(10_000), Number.POSITIVE_INFINITY);
  usage.removeStream();
  t.is(usage.streamWaitMs(10_000), 0);
});

test('P4.2: ports and streams move to the grant of the attempt that takes them over, even beyond its limits', t => {
  const limits = { newStreamsPerSecond: 9, ports: 9, streams: 9 };
  const [first, second] = [new GrantUsage(limits, 0), new GrantUsage({ ...limits, ports: 1, streams: 1 }, 0)];
  const [share, other] = [new UsageShare(first), new UsageShare(first)];
  for (const each of [share, share, other]) each.addPort();
  for (const each of [share, share, other]) each.addStream(0);
  share.moveTo(second);
  t.deepEqual([first.ports, first.streams, second.ports, second.streams], [1, 1, 2, 2]);
  t.throws(() => share.addPort(), { code: 'limit' });
  t.is(share.streamWaitMs(0), Number.POSITIVE_INFINITY);
  for (let count = 0; count < 2; count++) {
    share.removePort();
    share.removeStream();
  }
  t.deepEqual([first.ports, first.streams, second.ports, second.streams], [1, 1, 0, 0]);
});
