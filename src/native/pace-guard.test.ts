import test from 'ava';
import type { TcpInfo } from './addon.ts';
import { PaceGuard } from './pace-guard.ts';

const fresh: TcpInfo = {
  state: 1,
  rttUs: 6_000,
  rttVarUs: 700,
  minRttUs: 20,
  bytesAcked: 0,
  bytesReceived: 0,
  unackedSegments: 60,
  notSentBytes: 16_384,
  sinceAckMs: 0,
  retransmits: 0,
  totalRetransmits: 0,
  pacingRate: 0,
  busyUs: 0,
  deliveryRate: 0,
};

/** A span: so many bytes arrived in so many ms, of which something was under way for `busyMs` (all, when left out). */
type Span = readonly [bytes: number, ms: number, busyMs?: number];

/** What the kernel was told during the spans, in kB/s; `free` for nothing. */
function told(spans: readonly Span[]): (number | 'free')[] {
  const said: (number | 'free')[] = [];
  const guard = new PaceGuard(rate => said.push(rate === undefined ? 'free' : Math.round(rate / 1_000)));
  let nowMs = 5_000;
  let info = fresh;
  guard.onInfo(info, nowMs);
  for (const [bytes, ms, busyMs = ms] of spans) {
    nowMs += ms;
    info = {
      ...info,
      bytesAcked: info.bytesAcked + bytes,
      busyUs: info.busyUs + busyMs * 1_000,
    };
    guard.onInfo(info, nowMs);
  }
  return said;
}

const bulk: Span = [1_250_000, 100];
const slower: Span = [1_000_000, 100];

test('P2.1: bulk is sent at most a quarter faster than the fastest of five spans arrived', t => {
  t.deepEqual(told([bulk, bulk]), [15_625]);
  t.deepEqual(told([bulk, slower, slower, slower, slower, slower]), [15_625, 15_625, 15_625, 15_625, 12_500]);
});

test('P2.1: where more arrives more may be sent: eight times as much a second later', t => {
  const said = told(Array.from({ length: 12 }, (_, at): Span => [125_000 * 1.25 ** at * 2, 100]));
  t.true(Number(said.at(-1)) >= 8 * Number(said[0]));
});

test('P2.1: a slow line is measured over longer spans', t => {
  const [piece]: Span[] = [[64 * 1024, 250]];
  if (piece === undefined) return t.fail();
  t.deepEqual(told([piece, piece, piece, piece]), [328]);
});

const freeing: Readonly<Record<string, Span>> = {
  'what is no bulk': [100_000, 1_001],
  'a pause': [0, 3_000],
  'bulk that comes in bursts': [1_250_000, 500, 100],
  'a path that is faster than queues matter': [20_000_000, 100],
};

for (const [what, span] of Object.entries(freeing))
  test(`P2.1: ${what} sets the kernel free, and is not what is measured by`, t => {
    t.deepEqual(told([bulk, bulk, span, bulk]), [15_625, 'free']);
    t.deepEqual(told([span, span, bulk]), []);
  });
