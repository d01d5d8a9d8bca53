import { blockUdp, type Program, until } from 'netns-test-helpers';
import { flawsOfLoad, startLoad } from './support/load.ts';
import { setStage } from './support/stage.ts';
import { startVerb } from './support/verbs.ts';

/**
 * NATs that forget TCP that is silent (P8.1). What is a second to the mediator is 10 ms here: its link is silent for 2.4 s
 * until losses halve that. Ports are random, so that a binding that was forgotten is not made again as it was.
 */

const claim = setStage({
  name: 'scidle',
  home: { ports: 'fully-random' },
  // Whatever is learned of UDP is reported on the link, which is to be silent.
  peers: ({ carrier }) => carrier.apply(blockUdp()),
  site: () => ({ mediatorConfig: 'ladderUnitMs = 10' }),
});

function losses(mediator: Program): number {
  return mediator.stderr.split('"offline"').length - 1;
}

/** How long the link may be silent, as a terminal is told. */
function intervalOf(watching: Program): number | undefined {
  const found = [...watching.stdout.matchAll(/"tcpKeepaliveMs":(\d+)/g)].at(-1);
  return found === undefined ? undefined : Number(found[1]);
}

claim(
  'F6: a NAT that forgets silent TCP costs two links, then keepalives come sooner, and no stream is lost (P8.1)',
  async (t, stage) => {
    const { home, site } = stage;
    const load = await startLoad(t, stage, { streams: 0, others: ['idle'], commands: 0 });
    const watching = startVerb(t, stage, ['mediators', '--watch'], { keepBytes: 4 << 20 });
    const untilInterval = (wanted: number) =>
      until(() => intervalOf(watching) === wanted, {
        what: `keepalives every ${wanted} ms`,
        deadlineMs: 40_000,
        explain: () => `${intervalOf(watching)} after ${losses(site.mediator)} losses`,
      });
    await untilInterval(2_400);
    for (const [seconds, intervalMs] of [
      [2, 1_200],
      [1, 600],
    ] as const) {
      const before = losses(site.mediator);
      await home.carrier.setConntrackTimers({ tcpEstablishedSeconds: seconds });
      await untilInterval(intervalMs);
      // A busy machine may add one that does not count: nobody was there again in time.
      t.true(losses(site.mediator) - before >= 2);
    }
    const before = losses(site.mediator);
    const from = performance.now();
    await until(() => performance.now() - from > 3_000, { what: 'five keepalives' });
    t.is(losses(site.mediator), before);
    t.deepEqual(flawsOfLoad(await load.stop()), []);
  },
);
