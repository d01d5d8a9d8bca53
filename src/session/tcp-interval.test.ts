import test from 'ava';
import { TcpInterval } from './tcp-interval.ts';

const second = 1_000;

/** A link that was lost out of a silence as long as allowed, and the server there again 7 s later. */
function loseIdle(
  interval: TcpInterval,
  atMs: number,
  changes: Partial<Parameters<TcpInterval['onLost']>[0]> = {},
) {
  interval.onLost({ idleMs: interval.intervalMs, unsaid: true, atMs, ...changes });
  interval.onReached('wan0 192.0.2.1', atMs + 7 * second);
}

function reached(startMs?: number): TcpInterval {
  const interval = new TcpInterval(startMs);
  interval.onReached('wan0 192.0.2.1', 0);
  return interval;
}

test('a link is silent for 240 s at most, whatever is configured', t => {
  t.is(new TcpInterval().intervalMs, 240 * second);
  t.is(new TcpInterval(900 * second).intervalMs, 240 * second);
  t.is(new TcpInterval(30 * second).intervalMs, 30 * second);
});

test('two unexplained losses out of silence halve it, again and again, to 20 s and no further', t => {
  const interval = reached();
  const seen = [interval.intervalMs];
  for (let count = 0; count < 20; count += 1) {
    loseIdle(interval, count * 3600 * second);
    if (seen.at(-1) !== interval.intervalMs) seen.push(interval.intervalMs);
  }
  t.deepEqual(
    seen.map(ms => ms / second),
    [240, 120, 60, 30, 20],
  );
});

test('where a second is 10 ms, 2.4 s are halved down to 200 ms', t => {
  const interval = new TcpInterval(undefined, 10);
  t.is(interval.intervalMs, 2_400);
  interval.onReached('wan0 192.0.2.1', 0);
  for (let count = 0; count < 20; count += 1) loseIdle(interval, count * 3600 * second);
  t.is(interval.intervalMs, 200);
});

test('one loss alone changes nothing', t => {
  const interval = reached();
  loseIdle(interval, 0);
  t.is(interval.intervalMs, 240 * second);
  t.is(interval.unexplainedLosses, 1);
});

test('what explains a loss does not count: GOAWAY, traffic just before, a server that stayed away', t => {
  const interval = reached();
  for (let count = 0; count < 4; count += 1) {
    loseIdle(interval, 0, { unsaid: false });
    loseIdle(interval, 0, { idleMs: 10 * second });
    interval.onLost({ idleMs: 240 * second, unsaid: true, atMs: 0 });
    interval.onReached('wan0 192.0.2.1', 60 * second);
  }
  t.is(interval.unexplainedLosses, 0);
  t.is(interval.intervalMs, 240 * second);
});

test('another path is believed to be as patient as any', t => {
  const interval = reached();
  loseIdle(interval, 0);
  loseIdle(interval, 0);
  t.is(interval.intervalMs, 120 * second);
  interval.onLost({ idleMs: 120 * second, unsaid: true, atMs: 0 });
  interval.onReached('lte0 100.64.0.1', 1_000);
  t.is(interval.intervalMs, 240 * second);
  t.is(interval.unexplainedLosses, 0);
});
