import { type Impairment, until, type Way } from 'netns-test-helpers';
import { flawsOfLoad, startLoad } from './support/load.ts';
import { type Stage, setStage } from './support/stage.ts';

/** When a link is given up, and when not (P8.1): the line of the home is cut, and made bad in every way it allows for. */

const claim = setStage({ name: 'scdead', home: { line: {} } });

/** How often either end has said that the mediator's link ended. */
function ends({ site }: Stage): number {
  const said = (text: string, what: RegExp) => text.match(what)?.length ?? 0;
  return said(site.mediator.stderr, /"offline"/g) + said(site.server.stderr, /"home-1".*"link ended"/g);
}

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

interface Badness {
  readonly how: Impairment;
  /** Bytes a second of each end that sends; 0 is as fast as it goes. */
  readonly rate: number;
  /** It has lasted long enough when so many bytes have gone each way. */
  readonly bytes: number;
}

const bad: Readonly<Record<string, Badness>> = {
  '30 % loss each way': { how: { delayMs: 10, lossRatio: 0.3 }, rate: 8_192, bytes: 100_000 },
  '750 ms each way and a short queue': {
    how: { delayMs: 750, rateKbit: 10_000, queuePackets: 25 },
    rate: 0,
    bytes: 200_000,
  },
  'a queue of 2 s at 256 kbit/s': { how: { rateKbit: 256, queueMs: 2_000 }, rate: 0, bytes: 160_000 },
};

for (const [what, { how, rate, bytes }] of Object.entries(bad))
  claim(`a line with ${what} is never given up while its bytes move (P8.1)`, async (t, stage) => {
    const line = lineOf(stage);
    const before = ends(stage);
    const load = await startLoad(t, stage, { streams: 1, others: ['up', 'down'], rate, commands: 0 });
    await line.set(how);
    const gone = async (way: Way) => (await line.counters())[way].deliveredBytes - start[way].deliveredBytes;
    const start = await line.counters();
    for (const way of ['there', 'back'] as const)
      await until(async () => (await gone(way)) >= bytes, {
        what: `${bytes} bytes to go ${way}`,
        deadlineMs: 90_000,
        explain: () => stage.site.mediator.stderr.slice(-1_000),
      });
    await line.clear();
    t.deepEqual(flawsOfLoad(await load.stop()), []);
    t.is(ends(stage), before);
  });
