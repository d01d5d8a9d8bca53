import { blockUdp, type Program, until } from 'netns-test-helpers';
import { servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { flawsOfLoad, startLoad } from './support/load.ts';
import { tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { startForward, startVerb } from './support/verbs.ts';

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

/** Waits until the link of the home has just been used, and carries nothing now: its next packet is its keepalive. */
async function untilSilent({ home }: Stage): Promise<void> {
  const link = ['ss', '-Htin', 'state', 'established', 'dport', '=', `:${servicePort}`];
  const isSilent = async () => {
    const { stdout } = await home.gateway.exec(link);
    const [sent, received] = [/lastsnd:(\d+)/, /lastrcv:(\d+)/].map(found => Number(found.exec(stdout)?.[1]));
    return !/unacked/.test(stdout) && Math.min(sent ?? 0, received ?? 0) > 100;
  };
  await until(isSilent, { what: 'the link to be silent' });
}

for (const [title, unsolicited] of [
  ['F2: a NAT forgets while the home is silent, and answers what the server sends by RST', 'reject'],
  ['F3: a NAT forgets while the home is silent, and drops what the server sends', 'drop'],
] as const)
  claim(`${title}: the next keepalive mends it, nothing is lost (P8.1)`, async (t, stage) => {
    const { device, terminal, useNats, carrier } = stage.home;
    const ports = 'fully-random';
    await useNats({ ports }, { ports, unsolicited });
    const service = await tcpService(t, device, homeAddresses.device, 4_000, [
      'read=70000',
      'send=5',
      'drain',
      'fin',
    ]);
    const forward = await startForward(t, stage, `${homeAddresses.device}:4000`);
    const steps = ['send=5', 'go', 'send=69995', 'fin', 'drain'];
    const words = ['connect', '127.0.0.1', Number(forward.ports[0]), ...steps];
    const client = tcpPeer(t, terminal, words, { stdin: 'pipe' });
    await untilSaid(client, { waits: 'go' });
    const before = losses(stage.site.mediator);
    await untilSilent(stage);
    await carrier.flushConntrack();
    const from = performance.now();
    client.write('\n');
    t.like(await untilSaid(service, { did: 'read' }, 30_000), { bytes: 70_000, intact: true });
    t.log(`${Math.round(performance.now() - from)} ms after the server had something to say`);
    t.true(losses(stage.site.mediator) > before);
    t.like(await untilSaid(client, { saw: 'fin' }), { bytes: 5, intact: true });
    await untilSaid(service, { saw: 'fin' });
  });
