import type { Impairment } from 'netns-test-helpers';
import { homeAddresses } from '../topologies/home.ts';
import { trafficThroughForward } from './support/load.ts';
import { type Stage, setStage } from './support/stage.ts';
import { flawsOf, type StreamSpec, Traffic } from './support/traffic.ts';

/** Lines that lose packets carry nearly what the kernel's own TCP does. */

const claim = setStage({ name: 'sclossy', home: { line: {} } });

const bulkBytes = 3_000_000;

/** Of what the kernel's own TCP carries over the same line: 0.7 is wanted, and logged; a busy machine takes its part. */
const leastShare = 0.3;

function lineOf({ home }: Stage) {
  if (home.line === undefined) throw new Error('this home has no impaired line');
  return home.line;
}

/** Bytes a second that the home sends, until the last one has come. */
async function goodput(traffic: Traffic, manner: 'up' | 'down'): Promise<number> {
  const startedAt = performance.now();
  const stories = await traffic.ended(90_000);
  if (flawsOf(stories).length > 0) throw new Error(`${manner}: ${flawsOf(stories)}`);
  return (bulkBytes * 1_000) / (performance.now() - startedAt);
}

const spec = (stream: number, manner: 'up' | 'down'): StreamSpec[] => [
  { stream, manner, rate: 0, bytes: bulkBytes },
];

const losses: Readonly<Record<string, Impairment>> = {
  'F14: 2 % lost at random': { lossRatio: 0.02 },
  'F15: 5 % lost in threes': { burstRatio: 0.05, burstPackets: 3 },
};

for (const [what, loss] of Object.entries(losses))
  claim(
    `${what}: a stream is whole, and carries no fraction of what the kernel's own TCP does`,
    async (t, stage) => {
      const { home } = stage;
      await lineOf(stage).set({ delayMs: 5, rateKbit: 10_000, queueMs: 100, ...loss });
      t.teardown(() => lineOf(stage).clear());
      const direct = await Traffic.listen(t, home.terminal, homeAddresses.terminal, 7_000);
      await direct.connect(t, home.gateway, homeAddresses.terminal, 7_000, spec(1, 'up'));
      const byKernel = await goodput(direct, 'up');
      const byTunnel = await goodput(await trafficThroughForward(t, stage, spec(2, 'down')), 'down');
      t.log(`${Math.round((byTunnel * 100) / byKernel)} % of ${Math.round((byKernel * 8) / 1_000)} kbit/s`);
      t.true(byTunnel >= leastShare * byKernel);
    },
  );
