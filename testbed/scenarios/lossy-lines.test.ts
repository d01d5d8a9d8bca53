import type { Impairment } from 'netns-test-helpers';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { flawsOfLoad, startLoad, trafficThroughForward } from './support/load.ts';
import { programPath } from './support/peers.ts';
import { type Stage, setStage } from './support/stage.ts';
import { profileFolder } from './support/technicians.ts';
import { flawsOf, type StreamSpec, Traffic } from './support/traffic.ts';
import { jsonLines } from './support/verbs.ts';

/** Lines that lose packets: links are made all the same, and carry nearly what the kernel's own TCP does. */

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

claim(
  'F13: with 30 % lost each way fifty of fifty connect, and the usual load loses nothing',
  async (t, stage) => {
    const load = await startLoad(t, stage, { rate: 8_192, streams: 1 });
    await lineOf(stage).set({ delayMs: 10, lossRatio: 0.3 });
    const words = [profileFolder(stage.site.terminalEnv), mediatorName, '50'];
    const { stdout, stderr } = await stage.home.gateway.exec(
      [process.execPath, programPath('sdk-connects.mjs'), ...words],
      { deadlineMs: 135_000 },
    );
    const times = jsonLines(stdout)
      .map(({ connectedMs }) => Number(connectedMs))
      .toSorted((a, b) => a - b);
    t.is(times.length, 50, stderr);
    t.log(`p50 ${times[25]} ms, p95 ${times[47]} ms, most ${times[49]} ms`);
    await lineOf(stage).clear();
    t.deepEqual(flawsOfLoad(await load.stop('together', 60_000)), []);
  },
);
