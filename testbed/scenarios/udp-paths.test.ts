import type { ExecutionContext } from 'ava';
import { until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { namedFault } from '../topologies/faults.ts';
import { homeAddresses } from '../topologies/home.ts';
import { RedirectedFlow } from './support/redirected-flow.ts';
import { type Stage, setStage } from './support/stage.ts';
import { iperfDatagrams, startIperf } from './support/udp-peers.ts';
import { startVerb, untilForwards } from './support/verbs.ts';

/** A flow through a redirected port, and what lines and carriers do to UDP. */

interface Flowing {
  readonly flow: RedirectedFlow;
}

const { device, gatewayLan } = homeAddresses;
const iperfPort = 5201;

const claim = setStage<Flowing>({
  name: 'scudpath',
  home: { line: {} },
  peers: async home => {
    await startEcho(home.device);
    await startIperf(home.device, iperfPort);
  },
  share: async stage => {
    const at = `127.0.0.1:${iperfPort}:${device}:${iperfPort}`;
    const always = { teardown() {} };
    await untilForwards(startVerb(always, stage, ['forward', mediatorName, at, `${at}/udp`]), 2);
    return { flow: await RedirectedFlow.start(always, stage, { from: gatewayLan, to: device }) };
  },
});

/** Lets iperf3 send through a forward, and tells what came. */
async function burst(
  t: ExecutionContext,
  { home }: Stage,
  flow: Parameters<typeof iperfDatagrams>[2],
): ReturnType<typeof iperfDatagrams> {
  const came = await iperfDatagrams(home.terminal, iperfPort, flow);
  t.log(`${flow.way}: ${JSON.stringify(came)}`);
  return came;
}

claim('F22: packets that come twice, at once and long after, are delivered once', async (t, stage) => {
  const { line } = stage.home;
  t.teardown(() => line?.clear());
  // The second time more packets than a window of 4,096 knows come before the second copy does.
  const cases = [
    { way: 'back', afterMs: 0, perSecond: 300 },
    { way: 'there', afterMs: 4_500, perSecond: 1_000 },
  ] as const;
  for (const { way, afterMs, perSecond } of cases) {
    await line?.set({ duplicateRatio: 0.05, duplicateAfterMs: afterMs });
    const { packets, lost, disordered } = await burst(t, stage, { way, bytes: 200, perSecond, seconds: 5 });
    // One that is doubled would be out of order to iperf3.
    t.is(disordered, 0, way);
    t.true(packets > perSecond * 4 && lost < packets / 10);
  }
  const { there, back } = (await line?.counters()) ?? {};
  t.log(`doubled by the line: ${there?.duplicated} there, ${back?.duplicated} back`);
  t.is(stage.flow.counts.disordered, 0);
});

claim(
  'F27: UDP is policed at 100 packets/s: who floods loses, no link and no flow ends, and what is slower passes',
  async (t, { flow, ...stage }) => {
    const linkEnds = () => stage.site.server.stderr.match(/"home-1".*"link ended"/g)?.length ?? 0;
    const before = linkEnds();
    const heal = await namedFault('UDP policed')(stage.home);
    t.teardown(heal);
    const flood = await burst(t, stage, { way: 'there', bytes: 200, perSecond: 500, seconds: 5 });
    t.true(flood.lost > 0, 'it is policed');
    await flow.untilAnswered(40);
    const { asked, answered } = flow.counts;
    await flow.untilCounts('every answer from now on', now => now.asked > asked + 60);
    const missing = flow.counts.asked - flow.counts.answered - (asked - answered);
    t.true(missing <= 3, `${missing} answers are missing though nobody floods`);
    await heal();
    await until(() => flow.changes.at(-1) !== 'tcp', { what: 'the flow to be on UDP', deadlineMs: 60_000 });
    t.is(linkEnds(), before);
  },
);
