import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { runCommand } from './command.ts';
import { fixture, labTest, tcpServer, tryTcp } from './fixtures/harness.ts';
import {
  type ImpairedLink,
  type Impairment,
  type Lab,
  type Namespace,
  type Program,
  until,
} from './index.ts';

const leftAddress = '10.0.0.1';
const rightAddress = '10.0.0.2';

interface Pair {
  readonly left: Namespace;
  readonly right: Namespace;
  readonly link: ImpairedLink;
}

async function buildPair(lab: Lab, impairment: Impairment, seed = 1, suffix = ''): Promise<Pair> {
  const left = await lab.namespace(`left${suffix}`);
  const right = await lab.namespace(`right${suffix}`);
  const link = await lab.impairedLink(
    { namespace: left, interface: 'eth0', addresses: [`${leftAddress}/24`, 'fd00::1/64'] },
    { namespace: right, interface: 'eth0', addresses: [`${rightAddress}/24`, 'fd00::2/64'] },
    impairment,
    { seed },
  );
  return { left, right, link };
}

/** A datagram that came. */
interface Came {
  readonly number: number;
  readonly sentAtMs: number;
  readonly underWayMs: number;
  readonly whole: boolean;
}

function cameAt(taker: Program): Came[] {
  const lines = taker.stdout.matchAll(/^(\d+) (\S+) (\S+) (whole|damaged)$/gm);
  return [...lines].map(([, number, sentAtMs, underWayMs, how]) => ({
    number: Number(number),
    sentAtMs: Number(sentAtMs),
    underWayMs: Number(underWayMs),
    whole: how === 'whole',
  }));
}

interface Flow {
  readonly count: number;
  readonly atOnce?: number;
  readonly bytes?: number;
}

/** Sends numbered datagrams from left to right, and gives what came when nothing is under way any more. */
async function numbers({ left, right, link }: Pair, flow: Flow): Promise<Came[]> {
  const taker = right.node(fixture('udp-numbers'), ['take', '9']);
  await taker.untilOutput(/^bound$/m);
  const before = (await link.counters()).there;
  const { count, atOnce = 5, bytes = 100 } = flow;
  const words = ['send', rightAddress, 9, count, atOnce, bytes].map(String);
  await left.run([process.execPath, fixture('udp-numbers'), ...words]);
  await until(async () => (await link.counters()).there.underWay === 0, { what: 'nothing to be under way' });
  const after = (await link.counters()).there;
  // ARP is delivered, too, and what is damaged for all to see is thrown away by the kernel.
  const gain = (name: keyof typeof after) => after[name] - before[name];
  const hidden = link.impairment.there.corruptHidden ?? false;
  const expected = gain('delivered') - gain('neighbour') - (hidden ? 0 : gain('corrupted'));
  await until(() => cameAt(taker).length >= expected, {
    what: `${expected} datagrams to be taken`,
    explain: () => taker.stdout.slice(-300),
  });
  await taker.stop();
  return cameAt(taker);
}

const numbersOf = (came: readonly Came[]) => came.map(({ number }) => number);
const firstNumbers = (count: number) => Array.from({ length: count }, (_, number) => number);
const lostOf = (came: readonly Came[], count: number) => {
  const seen = new Set(numbersOf(came));
  return firstNumbers(count).filter(number => !seen.has(number));
};

labTest('an impaired link on which nothing is set is a plain cable', async (t, lab) => {
  const { left, right, link } = await buildPair(lab, {});
  const server = await tcpServer(right, 80);
  t.regex(await tryTcp(left, 'fd00::2', 80), /^connected fd00::1 /);
  const argv = [process.execPath, fixture('tcp-client'), rightAddress, '80', '9000', '20000000'];
  t.regex(await left.run(argv), /^echoed 20000000$/m);
  t.regex(server.stdout, /^read 20000000 in/m);
  const { there, back } = await link.counters();
  t.true(there.arrivedBytes > 20_000_000 && back.arrivedBytes > 20_000_000);
  for (const way of [there, back]) {
    t.is(way.delivered, way.arrived + way.neighbour);
    t.like(way, { lost: 0, lostInBursts: 0, tooLong: 0, queueFull: 0, overflowed: 0, underWay: 0 });
  }
});

labTest('a delay is kept to the millisecond, each way its own', async (t, lab) => {
  const pair = await buildPair(lab, { delayMs: 30 });
  // The fastest tells of the link; what is slower may have waited for a processor.
  const fastest = async () =>
    Math.min(...(await numbers(pair, { count: 100, atOnce: 1 })).map(({ underWayMs }) => underWayMs));
  const first = await fastest();
  t.true(first >= 30 && first < 31.5, `${first} ms`);
  await pair.link.set({ delayMs: 5 }, 'there');
  const second = await fastest();
  t.true(second >= 5 && second < 6.5, `${second} ms`);
  t.is(pair.link.impairment.back.delayMs, 30);
});

labTest('jitter spreads the delay and keeps the order', async (t, lab) => {
  const came = await numbers(await buildPair(lab, { delayMs: 30, jitterMs: 20 }), { count: 300 });
  t.deepEqual(numbersOf(came), firstNumbers(300));
  const delays = came.map(({ underWayMs }) => underWayMs);
  t.true(Math.min(...delays) >= 10);
  t.true(Math.max(...delays) - Math.min(...delays) > 10, 'it varies');
});

labTest('the same seed loses the same packets, another seed others', async (t, lab) => {
  const lost: number[][] = [];
  for (const [at, seed] of [4711, 4711, 4712].entries()) {
    const pair = await buildPair(lab, { lossRatio: 0.2 }, seed, String(at));
    lost.push(lostOf(await numbers(pair, { count: 1_000 }), 1_000));
    t.is((await pair.link.counters()).there.lost, lost[at]?.length ?? -1);
  }
  const [first = [], again, other] = lost;
  t.deepEqual(again, first);
  t.notDeepEqual(other, first);
  t.true(first.length > 150 && first.length < 250, `${first.length} of 1000 lost, 200 meant`);
});

labTest('bursts take so many packets in a row, and together their share', async (t, lab) => {
  const pair = await buildPair(lab, { burstRatio: 0.1, burstPackets: 4 });
  const lost = lostOf(await numbers(pair, { count: 2_000 }), 2_000);
  const runs = runsOf(lost);
  // Two bursts may follow one another, and the last may not have come to its end.
  t.true(
    runs.slice(0, -1).every(length => length % 4 === 0),
    `runs of ${runs}`,
  );
  t.true(lost.length > 140 && lost.length < 260, `${lost.length} of 2000 lost, 200 meant`);
});

/** How many follow one another without a gap, again and again. */
function runsOf(sorted: readonly number[]): number[] {
  const ends = sorted.flatMap((number, at) => (sorted[at + 1] === number + 1 ? [] : [at + 1]));
  return ends.map((end, at) => end - (ends[at - 1] ?? 0));
}

labTest('what is doubled comes twice, the second time as late as was asked', async (t, lab) => {
  const pair = await buildPair(lab, { duplicateRatio: 0.3, duplicateAfterMs: 200 });
  const came = await numbers(pair, { count: 200 });
  const again = came.filter(({ number }, at) => numbersOf(came).indexOf(number) < at);
  t.is(lostOf(came, 200).length, 0);
  t.is(again.length, (await pair.link.counters()).there.duplicated);
  t.true(again.length > 30);
  t.true(again.every(({ underWayMs }) => underWayMs >= 200));
});

labTest('damage that a checksum notices never reaches the application', async (t, lab) => {
  const pair = await buildPair(lab, { corruptRatio: 0.3 });
  const came = await numbers(pair, { count: 300, bytes: 500 });
  const { corrupted } = (await pair.link.counters()).there;
  t.true(corrupted > 50);
  t.is(came.length, 300 - corrupted);
  t.true(came.every(({ whole }) => whole));
});

labTest('hidden damage reaches the application', async (t, lab) => {
  const pair = await buildPair(lab, { corruptRatio: 0.3, corruptHidden: true });
  const came = await numbers(pair, { count: 300, bytes: 500 });
  const { corrupted } = (await pair.link.counters()).there;
  t.is(came.length, 300);
  // Two words of the header that change places are damage as well, to the number or the time.
  const damaged = came.filter(({ whole }) => !whole).length;
  t.true(damaged > 0.9 * corrupted && damaged <= corrupted, `${damaged} of ${corrupted}`);
});

labTest('what is held back is overtaken, and nothing is lost', async (t, lab) => {
  const pair = await buildPair(lab, { reorderRatio: 0.05, reorderByMs: 15 });
  const came = numbersOf(await numbers(pair, { count: 400 }));
  t.deepEqual(
    [...came].sort((a, b) => a - b),
    firstNumbers(400),
  );
  const overtaken = came.filter((number, at) => came.slice(0, at).some(earlier => earlier > number));
  const { reordered } = (await pair.link.counters()).there;
  t.true(reordered > 5);
  // The kernel itself lets one overtake another now and then, when a sender moves to another processor.
  t.true(overtaken.length > 0 && overtaken.length <= reordered + 4, `${overtaken} of ${reordered}`);
});

labTest('a rate is kept, and what finds the queue full is dropped', async (t, lab) => {
  // 972 bytes and 28 of headers: 10 ms each at 800 kbit/s.
  const pair = await buildPair(lab, { rateKbit: 800, queuePackets: 5 });
  const flood = await numbers(pair, { count: 40, atOnce: 40, bytes: 972 });
  t.deepEqual(numbersOf(flood.slice(0, 6)), firstNumbers(6), 'one on the wire and five that wait');
  t.true(flood.length < 20, `${flood.length} of 40 came`);
  t.is((await pair.link.counters()).there.queueFull, 40 - flood.length);
  const startMs = flood[0]?.sentAtMs ?? 0;
  for (const [at, { sentAtMs, underWayMs }] of flood.slice(0, 6).entries()) {
    const afterMs = sentAtMs + underWayMs - startMs;
    t.true(
      afterMs >= 10 * (at + 1) && afterMs < 10 * (at + 1) + 300,
      `number ${at} came after ${afterMs} ms`,
    );
  }

  await pair.link.set({ queuePackets: 1_000, queueMs: 100 });
  const patient = await numbers(pair, { count: 40, atOnce: 40, bytes: 972 });
  t.true(patient.length >= 11 && patient.length < 25, `${patient.length} of 40 within 100 ms of queue`);
});

labTest('packets above a length vanish without a word', async (t, lab) => {
  const pair = await buildPair(lab, { dropLongerThan: 1_280 });
  t.is((await numbers(pair, { count: 5, bytes: 1_252 })).length, 5);
  t.is((await numbers(pair, { count: 5, bytes: 1_253 })).length, 0);
  const { there, back } = await pair.link.counters();
  t.is(there.tooLong, 5);
  t.is(back.arrived, 0, 'no ICMP came back');
});

labTest('what it does can be changed while it runs, and is in the drawing', async (t, lab) => {
  const pair = await buildPair(lab, { lossRatio: 1 });
  t.is((await numbers(pair, { count: 20 })).length, 0);
  await pair.link.set({ lossRatio: 0.25, rateKbit: 1_000 });
  t.regex(
    lab.drawing(),
    /eth0 10\.0\.0\.1\/24 fd00::1\/64 \(25 % lost, 1000 kbit\/s\)|\(25 % lost, 1000 kbit\/s\)/,
  );
  await pair.link.clear();
  t.is((await numbers(pair, { count: 20 })).length, 20);
  t.notRegex(lab.drawing(), /lost/);
  await t.throwsAsync(pair.link.set({ lossRatio: 2 }), { code: 'bad-input', message: /lossRatio 2/ });
  await t.throwsAsync(pair.link.set({ lostRatio: 0 } as Impairment), {
    message: /no impairment "lostRatio"/,
  });
});

labTest('an end that goes down and comes up again is joined again', async (t, lab) => {
  const pair = await buildPair(lab, {});
  await pair.link.ends[1].down();
  t.is((await numbers(pair, { count: 10 })).length, 0);
  await pair.link.ends[1].up();
  await pair.link.ends[1].untilUp();
  // Address resolution is to try again first.
  await tcpServer(pair.right, 80);
  t.regex(await tryTcp(pair.left, rightAddress, 80), /^connected/);
  t.is((await numbers(pair, { count: 10 })).length, 10);
});

async function folderOfPackage(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'netns-test-helpers-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const here = fileURLToPath(new URL('..', import.meta.url));
  const filter = (path: string) => !path.endsWith('/build');
  for (const part of ['dist', 'native', 'package.json'])
    await cp(join(here, part), join(folder, part), { recursive: true, filter });
  return folder;
}

test('without a compiler it says what to install', async t => {
  const cwd = await folderOfPackage(t);
  const script = `import { compileNative } from './dist/index.js'; await compileNative().catch(e => console.log(e.code, e.message))`;
  const argv = [process.execPath, '--input-type=module', '-e', script];
  const { stdout } = await runCommand(argv, { cwd, env: { CXX: 'no-such-compiler' } });
  t.regex(stdout, /^unsupported impaired links and captures need a C\+\+ compiler: apt-get install g\+\+/);
});
