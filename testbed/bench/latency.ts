import type { Interface } from 'netns-test-helpers';
import { mediatorName, type Site } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { iperfGbits, startIperfServer } from './iperf.ts';
import { median, medianRatio } from './median.ts';
import { atLeast, atMost, type Figure } from './report.ts';
import { roundTrips, startEcho } from './round-trips.ts';
import { startSsh, withSshFolder } from './ssh-tunnel.ts';
import { withSite } from './with-home.ts';

/**
 * Round trips of 64 B from terminal to device, 50 a second, while one bulk stream fills a bottleneck of 100 Mbit/s through
 * the same tunnel: Entremise's one link, or one ssh connection. The bottleneck lies between the two NATs: `up` is bulk
 * that leaves the home, `down` enters it. What both share is the queue of the bottleneck itself; what they do not is how
 * much they put into their own socket before it.
 */

const rateKbit = 100_000;
/** A burst is one packet that Linux sends as one; the queue holds 5 ms, as lines with a well-kept queue do. */
const burstBytes = 64 * 1024;
const queueMs = 5;

const bulkPort = 5201;
const echoPort = 7;
const target = (port: number) => `${homeAddresses.device}:${port}`;

const directions = ['up', 'down'] as const;
type Direction = (typeof directions)[number];

interface Tunnel {
  readonly what: string;
  readonly address: string;
  readonly bulkPort: number;
  readonly echoPort: number;
}

const entremise: Tunnel = { what: 'entremise', address: '127.0.0.1', bulkPort: 15_201, echoPort: 15_007 };
const ssh: Tunnel = { what: 'ssh', address: homeAddresses.server, bulkPort: 16_201, echoPort: 16_007 };

/** What one measurement gives. */
interface UnderBulk {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly bulkMbits: number;
}

async function measureOnce(
  site: Site,
  tunnel: Tunnel,
  direction: Direction,
  seconds: number,
): Promise<UnderBulk> {
  const { address } = tunnel;
  const client = site.home.terminal;
  const flow = direction === 'up' ? 'to-client' : 'from-client';
  const bulk = iperfGbits({ client, address, port: tunnel.bulkPort, flow, seconds: seconds + 1 });
  const trips = roundTrips({
    client,
    address,
    port: tunnel.echoPort,
    manner: { ping: { everyMs: 20 } },
    warmUpMs: 1_500,
    durationMs: seconds * 1_000 - 500,
  });
  const [gbits, { p50Ms, p99Ms }] = await Promise.all([bulk, trips]);
  return { p50Ms, p99Ms, bulkMbits: gbits * 1000 };
}

/** ssh's iperf3 has been seen to end in the middle of a measurement: one that fails is taken again, once. */
async function onceMore<T>(context: BenchContext, what: string, measureIt: () => Promise<T>): Promise<T> {
  try {
    return await measureIt();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    context.progress(`latency: ${what} is taken again: ${message.split('\n')[0]}`);
    return measureIt();
  }
}

const key = (tunnel: Tunnel, direction: Direction) => `${tunnel.what}.${direction}`;

async function measureAll(site: Site, context: BenchContext): Promise<Map<string, UnderBulk[]>> {
  const rounds = context.quick ? 1 : 5;
  const seconds = context.quick ? 2 : 6;
  const values = new Map<string, UnderBulk[]>();
  for (let round = 1; round <= rounds; round++)
    for (const direction of directions)
      for (const tunnel of [entremise, ssh]) {
        const what = key(tunnel, direction);
        const value = await onceMore(context, what, () => measureOnce(site, tunnel, direction, seconds));
        values.set(what, [...(values.get(what) ?? []), value]);
        context.record({ round, what: `${what}.p50`, value: value.p50Ms, unit: 'ms' });
        context.record({ round, what: `${what}.p99`, value: value.p99Ms, unit: 'ms' });
        context.record({ round, what: `${what}.bulk`, value: value.bulkMbits, unit: 'Mbit/s' });
      }
  return values;
}

async function limitLine(site: Site): Promise<void> {
  const { carrier } = site.home;
  const limit = (each: Interface) => each.limitRate({ rateKbit, burstBytes, latencyMs: queueMs });
  for (const each of carrier.interfaces) await limit(each);
}

async function measure(site: Site, context: BenchContext, folder: string): Promise<readonly Figure[]> {
  const { device, gateway, server, terminal } = site.home;
  await startIperfServer(device, bulkPort);
  await startEcho(device, homeAddresses.device, echoPort);
  site.startTerminal([
    'forward',
    mediatorName,
    `${entremise.bulkPort}:${target(bulkPort)}`,
    `${entremise.echoPort}:${target(echoPort)}`,
  ]);
  await terminal.untilListening('tcp', entremise.echoPort);
  const forwards = [
    { port: ssh.bulkPort, target: target(bulkPort) },
    { port: ssh.echoPort, target: target(echoPort) },
  ];
  const path = { server, serverAddress: homeAddresses.server, gateway, folder };
  await startSsh(path, [{ cipher: undefined, forwards }]);
  await limitLine(site);
  return figuresOf(await measureAll(site, context));
}

function figuresOf(values: ReadonlyMap<string, readonly UnderBulk[]>): Figure[] {
  const of = (tunnel: Tunnel, which: readonly Direction[], part: keyof UnderBulk) =>
    which.flatMap(direction => (values.get(key(tunnel, direction)) ?? []).map(value => value[part]));
  const ratio = (which: readonly Direction[], part: keyof UnderBulk) =>
    medianRatio(of(entremise, which, part), of(ssh, which, part));
  const figure = (name: string, value: number, unit: string, goal?: Figure['goal']): Figure => {
    return { name: `latency.${name}`, value, unit, goal };
  };
  return [
    figure('p99_vs_ssh', ratio(directions, 'p99Ms'), 'ratio', atMost(0.2)),
    figure('bulk_vs_ssh', ratio(directions, 'bulkMbits'), 'ratio', atLeast(0.95)),
    ...directions.flatMap(direction => [
      figure(`p99_vs_ssh_${direction}`, ratio([direction], 'p99Ms'), 'ratio'),
      figure(`bulk_vs_ssh_${direction}`, ratio([direction], 'bulkMbits'), 'ratio'),
      figure(`p99_${direction}_ms`, median(of(entremise, [direction], 'p99Ms')), 'ms'),
      figure(`ssh_p99_${direction}_ms`, median(of(ssh, [direction], 'p99Ms')), 'ms'),
    ]),
  ];
}

/** See the head of this file. */
export const latencyBench: Bench = {
  name: 'latency',
  summary: 'round trips of 64 B while a bulk stream fills 100 Mbit/s, against ssh',
  run(context) {
    context.progress('latency: building the home, enrolling server, mediator and terminal');
    return withSshFolder(folder => withSite('bench', {}, site => measure(site, context, folder)));
  },
};
