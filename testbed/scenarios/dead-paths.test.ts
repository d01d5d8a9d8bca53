import { type Impairment, until, type Way } from 'netns-test-helpers';
import { servicePort } from '../site.ts';
import { linkEnds } from './support/link-ends.ts';
import { flawsOfLoad, startLoad } from './support/load.ts';
import { type Stage, setStage } from './support/stage.ts';

/** When a link is given up, and when not (P8.1): the line of the home is cut, and made bad in every way it allows for. */

const claim = setStage({ name: 'scdead', home: { line: {} } });

function lineOf({ home }: Stage) {
  if (home.line === undefined) throw new Error('this home has no impaired line');
  return home.line;
}

claim(
  'a line that goes silent with bytes under way is found dead at both ends, and the mediator comes back',
  async (t, stage) => {
    await startLoad(t, stage, { streams: 1, others: [], commands: 0 });
    const line = lineOf(stage);
    const start = Date.now();
    await line.set({ lossRatio: 1 });
    for (const program of [stage.site.mediator, stage.site.server]) {
      await until(() => program.stderr.includes('the peer fell silent'), {
        what: `${program} to give the link up`,
        deadlineMs: 30_000,
      });
      t.log(`${program} after ${Date.now() - start} ms`);
    }
    await line.clear();
    const online = /"online".*"offline".*"online"/s;
    const back = await until(() => online.test(stage.site.mediator.stderr), {
      what: 'the mediator to be back',
      deadlineMs: 30_000,
    });
    t.true(back);
  },
);

/** No link survives so long a silence with something unanswered (P8.1). */
const pauseMs = 8_000;

claim(
  'readers that stop, whatever is sent at them from either side, end no link, and nothing is lost (P8.1)',
  async (t, stage) => {
    const before = linkEnds(stage);
    const load = await startLoad(t, stage, { rate: 1_000_000, streams: 2, others: [], commands: 0 });
    load.pause(['accept']);
    const startedAt = performance.now();
    await until(() => performance.now() - startedAt >= pauseMs, { what: 'the pause to be over' });
    t.is(linkEnds(stage), before);
    load.goOn();
    await load.untilMoving();
    t.deepEqual(flawsOfLoad(await load.stop()), []);
    t.is(linkEnds(stage), before);
  },
);

interface Badness {
  readonly how: Impairment;
  /** Bytes a second of each end that sends; 0 is as fast as it goes. */
  readonly rate: number;
  /** It has lasted long enough when so many bytes have gone each way. */
  readonly bytes: number;
}

const narrow: Impairment = { rateKbit: 256, queueMs: 2_000 };

const bad: Readonly<Record<string, Badness>> = {
  '30 % loss each way': { how: { delayMs: 10, lossRatio: 0.3 }, rate: 8_192, bytes: 100_000 },
  '750 ms each way and a short queue': {
    how: { delayMs: 750, rateKbit: 10_000, queuePackets: 25 },
    rate: 0,
    bytes: 200_000,
  },
};

/** Waits until the line has carried so many bytes each way. */
async function untilGone(stage: Stage, bytes: number): Promise<void> {
  const line = lineOf(stage);
  const start = await line.counters();
  const gone = async (way: Way) => (await line.counters())[way].deliveredBytes - start[way].deliveredBytes;
  for (const way of ['there', 'back'] as const)
    await until(async () => (await gone(way)) >= bytes, {
      what: `${bytes} bytes to go ${way}`,
      deadlineMs: 90_000,
      explain: () => stage.site.mediator.stderr.slice(-1_000),
    });
}

for (const [what, { how, rate, bytes }] of Object.entries(bad))
  claim(`a line with ${what} is never given up while its bytes move (P8.1)`, async (t, stage) => {
    const before = linkEnds(stage);
    const load = await startLoad(t, stage, { streams: 1, others: ['up', 'down'], rate, commands: 0 });
    await lineOf(stage).set(how);
    await untilGone(stage, bytes);
    await lineOf(stage).clear();
    const clearedAt = performance.now();
    // Megabytes wait at both ends, and a kernel may stand before a retransmission that a round trip of 1.5 s has put off.
    t.deepEqual(flawsOfLoad(await load.stop('together', 60_000)), []);
    t.log(`all there ${Math.round(performance.now() - clearedAt)} ms after the line was good again`);
    t.is(linkEnds(stage), before);
  });

claim(
  'a line of 256 kbit/s with a queue of 2 s is never given up, and commands overtake what waits (P2.1, P8.1)',
  async (t, stage) => {
    await lineOf(stage).set(narrow);
    // A connection that knew the line as a wide one would fill it for half a minute, whatever it carries.
    await stage.home.gateway.killConnections([servicePort]);
    const load = await startLoad(t, stage, { streams: 0, others: ['idle', 'up', 'down'] });
    const before = linkEnds(stage);
    await untilGone(stage, 160_000);
    // From here on as at most homes, whose way out alone is narrow: two such queues are more than commands may take.
    await lineOf(stage).set({ rateKbit: 10_000 }, 'back');
    load.timeAfresh();
    const enough = async () => ((await load.commandTotals())?.timed ?? 0) >= 20;
    await until(enough, { what: '20 commands to be answered', deadlineMs: 60_000 });
    const p95Ms = (await load.commandTotals())?.p95Ms ?? Number.POSITIVE_INFINITY;
    t.log(`p95 of commands: ${p95Ms} ms`);
    t.true(p95Ms <= 3_000);
    t.is(linkEnds(stage), before);
    await lineOf(stage).clear();
    t.deepEqual(flawsOfLoad(await load.stop()), []);
    t.is(linkEnds(stage), before);
  },
);
