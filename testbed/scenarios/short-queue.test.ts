import { readFileSync } from 'node:fs';
import type { Interface } from 'netns-test-helpers';
import { until } from 'netns-test-helpers';
import { trafficThroughForward } from './support/load.ts';
import { type Stage, setStage } from './support/stage.ts';
import { flawsOf } from './support/traffic.ts';

/**
 * A line as many homes have it: slow, with a queue of a third of a second in front of it. TCP that sends until something is lost fills
 * that queue, and everything else waits in it; a link does not, where the kernel has BBR (P2.1).
 */

const rateKbit = 20_000;
const queueMs = 300;
const queueHolds = (rateKbit / 8) * queueMs;

function reasonForNoBbr(): string | undefined {
  const algorithms = readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8');
  return algorithms.trim().split(' ').includes('bbr') ? undefined : 'this kernel has no BBR (module tcp_bbr)';
}

const claim = setStage({
  name: 'scqueue',
  cannot: reasonForNoBbr,
  home: { line: { delayMs: 5 } },
  peers: async ({ gateway, server, carrier }) => {
    for (const end of [gateway, server]) await end.sysctl({ 'net.ipv4.tcp_congestion_control': 'reno' });
    for (const each of carrier.interfaces) await each.limitRate({ rateKbit, latencyMs: queueMs });
  },
});

async function queuedBytes({ namespace, name }: Interface): Promise<number> {
  const said: unknown = JSON.parse(await namespace.run(['tc', '-s', '-j', 'qdisc', 'show', 'dev', name]));
  const [queue] = said as readonly { readonly backlog?: number }[];
  return queue?.backlog ?? 0;
}

const inARow = 20;

/** Waits until the queue is found nearly empty so many times in a row. */
async function untilShort({ home }: Stage, bulk: { untilMoving: () => Promise<number> }): Promise<void> {
  let short = 0;
  let last: readonly number[] = [];
  const isShort = async () => {
    last = await Promise.all(home.carrier.interfaces.map(queuedBytes));
    short = Math.max(...last) < queueHolds / 6 ? short + 1 : 0;
    return short === inARow;
  };
  await until(isShort, {
    what: `the queue to be short ${inARow} times in a row`,
    deadlineMs: 60_000,
    intervalMs: 100,
    explain: () => `it has ${last.join(' and ')} bytes of ${queueHolds}`,
  });
  await bulk.untilMoving();
}

for (const manner of ['up', 'down'] as const)
  claim(`P2.1: bulk that goes ${manner} a slow line keeps the deep queue of it short`, async (t, stage) => {
    const bulk = await trafficThroughForward(t, stage, [{ stream: 1, manner, rate: 0 }]);
    await bulk.untilMoving();
    await untilShort(stage, bulk);
    t.deepEqual(flawsOf(await bulk.stop()), []);
  });
