import { pathToFileURL } from 'node:url';
import type { Program } from 'netns-test-helpers';
import { iperfGbits, startIperfServer } from '../bench/iperf.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { saidUponWinch, startForward } from './support/verbs.ts';

/** What V8 does beside the relaying: a third of the processor went into collections that found nothing (docs/performance.md). */

const counting = {
  NODE_OPTIONS: `--import=${pathToFileURL(programPath('count-collections.mjs')).href}`,
};
const devicePort = 5_201;

const claim = setStage({
  name: 'sccollect',
  site: () => ({ serverEnv: counting, mediatorEnv: counting }),
  peers: ({ device }) => startIperfServer(device, devicePort),
});

async function beyondYoung(program: Program): Promise<number> {
  const said = await saidUponWinch(program, 'asked', `${program} to say how it has collected`);
  return Number(said.beyondYoung);
}

/** Seen from the terminal, where the load is driven from. */
const directions = { into: 'from-client', 'out of': 'to-client' } as const;

for (const [way, flow] of Object.entries(directions))
  claim(`bulk ${way} a home causes next to no full collections`, async (t, stage) => {
    const { site, home } = stage;
    const { ports } = await startForward(t, stage, `${homeAddresses.device}:${devicePort}`);
    const programs = [site.server, site.mediator];
    const before = await Promise.all(programs.map(beyondYoung));
    const run = { client: home.terminal, address: '127.0.0.1', port: ports[0] ?? 0, flow, seconds: 2 };
    t.log(`${await iperfGbits(run)} Gbit/s`);
    const after = await Promise.all(programs.map(beyondYoung));
    const caused = after.map((count, index) => count - (before[index] ?? 0));
    t.log(caused);
    // A dozen and more of each second, before V8 was told not to mark in steps.
    t.true(Math.max(...caused) <= 4);
  });
