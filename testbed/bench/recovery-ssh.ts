import { setTimeout as delay } from 'node:timers/promises';
import { until } from 'netns-test-helpers';
import { Traffic } from '../scenarios/support/traffic.ts';
import type { Teardown } from '../scenarios/support/verbs.ts';
import { type Fault, faultsFor } from '../topologies/faults.ts';
import { buildHome, type Home, homeAddresses } from '../topologies/home.ts';
import type { BenchContext } from './bench.ts';
import { median } from './median.ts';
import type { Figure } from './report.ts';
import { roundTrips, startEcho } from './round-trips.ts';
import { sshPort, startSsh, withSshFolder } from './ssh-tunnel.ts';

/**
 * The same breaks for what a technician would use otherwise: ssh that dials out from the gateway, is asked for signs of life
 * every 5 s (three may be missing, at both ends), and is started again a second after it has ended.
 */

const echoPort = 7;
const trafficPort = 6_000;
const echoForward = { port: 16_007, target: `${homeAddresses.device}:${echoPort}` };
const trafficForward = { port: 16_600, target: `${homeAddresses.device}:${trafficPort}` };
const streams = 4;

/** What goes wrong, and for how long. */
const breaks: readonly (readonly [fault: string, lastsMs: number])[] = [
  ['reset forged by the carrier', 0],
  ['WAN cable pulled', 3_000],
  ['black hole', 12_000],
];

interface Outcome {
  readonly lost: number;
  readonly returnedMs: number;
}

async function answers({ terminal }: Home): Promise<boolean> {
  const run = { client: terminal, address: homeAddresses.server, port: echoForward.port };
  const manner = { ping: { everyMs: 1 } };
  const trip = roundTrips({ ...run, manner, warmUpMs: 0, durationMs: 200, patienceMs: 1_000 });
  return trip.then(
    () => true,
    () => false,
  );
}

async function breakOnce(home: Home, fault: Fault, lastsMs: number): Promise<Outcome> {
  const undo: (() => unknown)[] = [];
  const t: Teardown = { teardown: each => void undo.push(each) };
  try {
    const traffic = await Traffic.listen(t, home.device, homeAddresses.device, trafficPort);
    const specs = Array.from({ length: streams }, (_, at) => ({ stream: at + 1, manner: 'both' as const }));
    await traffic.connect(t, home.terminal, homeAddresses.server, trafficForward.port, specs);
    await traffic.untilMoving();
    const heal = await fault(home);
    await delay(lastsMs);
    await heal();
    const goodAt = performance.now();
    await until(() => answers(home), { what: 'ssh to be back', deadlineMs: 120_000, intervalMs: 200 });
    const returnedMs = performance.now() - goodAt;
    return { lost: await lostOf(traffic), returnedMs };
  } finally {
    for (const each of undo.reverse()) await each();
  }
}

/** Streams that have ended by the break; what has not is to move. @throws LabError `deadline` when one does neither */
async function lostOf(traffic: Traffic): Promise<number> {
  const stories = await traffic.ended(3_000).catch(() => undefined);
  if (stories !== undefined) return stories.length;
  await traffic.untilMoving(30_000);
  return 0;
}

async function measure(home: Home, context: BenchContext, folder: string): Promise<Figure[]> {
  await startEcho(home.device, homeAddresses.device, echoPort);
  const path = { server: home.server, serverAddress: homeAddresses.server, gateway: home.gateway, folder };
  const tunnel = { cipher: undefined, forwards: [echoForward, trafficForward], aliveSeconds: 5 };
  await startSsh(path, [tunnel]);
  const faults = faultsFor(sshPort);
  const outcomes: Outcome[] = [];
  for (let round = 1; round <= (context.quick ? 1 : 3); round++)
    for (const [name, lastsMs] of breaks) {
      const fault = faults[name];
      if (fault === undefined) throw new RangeError(`there is no fault "${name}"`);
      const outcome = await breakOnce(home, fault, lastsMs);
      outcomes.push(outcome);
      context.record({ round, what: `ssh, ${name}: lost`, value: outcome.lost, unit: 'streams' });
      context.record({ round, what: `ssh, ${name}: back`, value: outcome.returnedMs / 1000, unit: 's' });
    }
  const told = (name: string, value: number, unit: string): Figure => {
    return { name: `recovery.${name}`, value, unit, goal: undefined };
  };
  const lost = outcomes.reduce((sum, each) => sum + each.lost, 0);
  return [
    told('ssh_streams_lost', lost / (outcomes.length * streams), 'of all'),
    told('ssh_return_s', median(outcomes.map(({ returnedMs }) => returnedMs / 1000)), 's'),
  ];
}

/** @throws what the benches of ssh throw */
export async function measureSshRecovery(context: BenchContext): Promise<Figure[]> {
  context.progress('recovery: the same for ssh');
  return withSshFolder(async folder => {
    const home = await buildHome({ name: 'bench' });
    try {
      return await measure(home, context, folder);
    } finally {
      await home.lab.destroy();
    }
  });
}
