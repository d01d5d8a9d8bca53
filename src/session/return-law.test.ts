import test from 'ava';
import { ReturnLaw } from './return-law.ts';

const second = 1_000;

test('P1.10: after a good link half a second, sooner three times 1 s, then up to 4 s', t => {
  const law = new ReturnLaw();
  t.is(law.onLost(10 * second, 0), 500);
  t.deepEqual(
    [1, 2, 3, 4, 5, 6].map(at => law.onLost(9_999, at)),
    [1_000, 1_000, 1_000, 2_000, 4_000, 4_000],
  );
  t.is(law.onLost(10 * second, 7), 500);
});

test('P1.10: tries that may have cost the server something double the span up to 60 s, whatever the others do', t => {
  const law = new ReturnLaw();
  law.onLost(60 * second, 0);
  const spans = [0, 1, 2, 3].map(at => law.onFailed('failed', at));
  t.deepEqual(spans, [1_000, 2_000, 4_000, 8_000]);
  t.is(law.onFailed('refused', 4), 1_000);
  t.is(law.onFailed('wayless', 4), 1_000);
  t.deepEqual(
    [5, 6, 7, 8].map(at => law.onFailed('failed', at)),
    [16_000, 32_000, 60_000, 60_000],
  );
});

test('P1.10: a refusal prolongs an outage by a tenth, no way to anywhere by 2 s, a day of it by 60 s', t => {
  const law = new ReturnLaw();
  law.onLost(60 * second, 0);
  t.is(law.onFailed('refused', 100 * second), 10_000);
  t.is(law.onFailed('wayless', 100 * second), 2_000);
  t.is(law.onFailed('refused', 86_400 * second), 60_000);
});

/** Numbers between 0 and 1 that are the same in each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Fleet {
  /** When the last member was back, after the server was. */
  readonly lastBackMs: number;
  /** When half of them were. */
  readonly medianBackMs: number;
  /** Most connections that came within one second while the server was there. */
  readonly mostAsked: number;
}

/**
 * A fleet whose server is killed and comes back: it takes `perSecond` members a second, keeps 1,024 at a time waiting for that
 * and resets whoever comes beyond, as the accept limits do (P1.6).
 */
function fleetAfterKill(members: number, outageMs: number, perSecond: number): Fleet {
  const random = numbers(members);
  const laws = Array.from({ length: members }, () => new ReturnLaw());
  const due = new Map<number, number[]>();
  const at = (ms: number, member: number) => due.set(ms, [...(due.get(ms) ?? []), member]);
  for (const [member, law] of laws.entries()) at(Math.floor(random() * law.onLost(60 * second, 0)), member);
  const back: number[] = [];
  const askedInSecond = new Map<number, number>();
  let freeAtMs = outageMs;
  for (let nowMs = 0; back.length < members; nowMs++) {
    for (const member of due.get(nowMs) ?? []) {
      const isThere = nowMs >= outageMs;
      const isFull = freeAtMs - nowMs >= (1_024 / perSecond) * second;
      const inSecond = Math.floor((nowMs - outageMs) / second);
      askedInSecond.set(inSecond, (askedInSecond.get(inSecond) ?? 0) + 1);
      if (isThere && !isFull) {
        freeAtMs = Math.max(freeAtMs, nowMs) + second / perSecond;
        back.push(freeAtMs - outageMs);
        continue;
      }
      const spanMs = laws[member]?.onFailed(isThere ? 'failed' : 'refused', nowMs) ?? 0;
      at(nowMs + 1 + Math.floor(random() * spanMs), member);
    }
    due.delete(nowMs);
  }
  const withServer = [...askedInSecond].filter(([inSecond]) => inSecond >= 0);
  return {
    lastBackMs: Math.max(...back),
    medianBackMs: back.toSorted((a, b) => a - b)[Math.floor(members / 2)] ?? 0,
    mostAsked: Math.max(...withServer.map(([, count]) => count)),
  };
}

test('P1.10: ten thousand members do not stampede a server that was killed: what it sheds thins them out', t => {
  const { lastBackMs, medianBackMs, mostAsked } = fleetAfterKill(10_000, 3 * second, 500);
  const story = `half after ${medianBackMs} ms, the last after ${lastBackMs} ms, ${mostAsked} in the worst second`;
  t.log(story);
  // 20 s are what the server itself needs for all of them.
  t.true(medianBackMs < 15 * second, story);
  t.true(lastBackMs < 120 * second, story);
  t.true(mostAsked < 20_000, story);
});

test('P1.10: a hundred members of a server that was killed are all back within 1.5 s', t => {
  const { lastBackMs } = fleetAfterKill(100, 3 * second, 500);
  t.true(lastBackMs < 1_500, `${lastBackMs}`);
});
