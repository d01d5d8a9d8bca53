import test from 'ava';
import type { TcpInfo } from './addon.ts';
import { BbrRestart } from './bbr-restart.ts';

/** As it was seen a minute after a line that lost 30 % each way was good again. */
const crawling: TcpInfo = {
  state: 1,
  rttUs: 114,
  rttVarUs: 86,
  minRttUs: 65,
  bytesAcked: 6_200_909,
  bytesReceived: 210_513,
  unackedSegments: 0,
  notSentBytes: 23_168,
  sinceAckMs: 180,
  retransmits: 0,
  totalRetransmits: 183,
  pacingRate: 1_623,
  busyUs: 92_452_000,
  deliveryRate: 14_196_078,
};

/** When BBR began anew, asked each second for `seconds`. */
function restarts(seconds: number, infoAt: (second: number) => TcpInfo): number[] {
  const at: number[] = [];
  let second = 0;
  const bbr = new BbrRestart(() => at.push(second));
  for (; second < seconds; second++) bbr.onInfo(infoAt(second), second * 1_000);
  return at;
}

test('P2.1: BBR that crawls on a path that is good again begins anew a second later', t => {
  const mended = { ...crawling, pacingRate: 10_000_000 };
  t.deepEqual(
    restarts(60, second => (second < 2 ? crawling : mended)),
    [1],
  );
});

test('P2.1: where beginning anew does not help, it is tried ever more rarely, each minute in the end', t => {
  t.deepEqual(
    restarts(300, () => crawling),
    [1, 3, 7, 15, 30, 59, 117, 177, 237, 297],
  );
});

const leftAlone: Readonly<Record<string, (second: number) => TcpInfo>> = {
  'what still loses packets': second => ({ ...crawling, totalRetransmits: second }),
  'what has nothing to send': () => ({ ...crawling, notSentBytes: 0 }),
  'a line that is as slow as that': () => ({ ...crawling, deliveryRate: 1_700 }),
  'what is fast enough': () => ({ ...crawling, pacingRate: 40_000 }),
};

for (const [what, infoAt] of Object.entries(leftAlone))
  test(`P2.1: ${what} is left alone`, t => {
    t.deepEqual(restarts(300, infoAt), []);
  });
