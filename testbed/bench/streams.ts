import { programPath } from '../scenarios/support/peers.ts';
import { mediatorName, type Site } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { median, medianRatio } from './median.ts';
import { atLeast, atMost, type Figure } from './report.ts';
import { type RoundTripRun, roundTrips, startEcho } from './round-trips.ts';
import { measureRounds, type RoundValues, type Variant, valuesOf, warmUp } from './rounds.ts';
import { startSsh, withSshFolder } from './ssh-tunnel.ts';
import { withSite } from './with-home.ts';

/**
 * New streams, each of which carries 64 B there and back and ends: how many a second, one and 16 at a time, through
 * `forward`, through ssh, and through two programs of Node that only pass on. Then on an access line of 20 ms each way:
 * from the connect to the first byte back, against one round trip on the routed path, which the device opens.
 */

const echoPort = 7;
const target = `${homeAddresses.device}:${echoPort}`;

interface Tunnel {
  readonly what: string;
  readonly address: string;
  readonly port: number;
}

const entremise: Tunnel = { what: 'entremise', address: '127.0.0.1', port: 15_007 };
const ssh: Tunnel = { what: 'ssh', address: homeAddresses.server, port: 16_007 };
/** As little as Node can do: a program at either end that accepts, connects and passes on; no tunnel, no encryption, no NAT. */
const bareNode: Tunnel = { what: 'bare_node', address: '127.0.0.1', port: 15_107 };
const crowds = [1, 16] as const;

/** A grant that says nothing allows 100 new streams a second. */
const grant = ['ports=2000', 'streams=2000', 'newStreamsPerSecond=10000'].flatMap(limit => [
  '--limit',
  limit,
]);

/** Connections that have ended would hold all numbers of a machine after half a minute of this, whoever makes them. */
async function forgetEnded({ home }: Site): Promise<void> {
  for (const namespace of [home.gateway, home.terminal, home.server, home.device])
    await namespace.run(['sysctl', '-qw', 'net.ipv4.tcp_max_tw_buckets=1000']);
}

async function startBareNode({ terminal, server }: Site['home']): Promise<void> {
  const serverEnd = [homeAddresses.server, String(bareNode.port)];
  await startEcho(server, homeAddresses.server, echoPort);
  server.node(programPath('pass-on.mjs'), [...serverEnd, homeAddresses.server, String(echoPort)]);
  await server.untilListening('tcp', bareNode.port);
  terminal.node(programPath('pass-on.mjs'), [bareNode.address, String(bareNode.port), ...serverEnd]);
  await terminal.untilListening('tcp', bareNode.port);
}

async function startEnds(site: Site, folder: string): Promise<void> {
  const { device, terminal, server, gateway } = site.home;
  await forgetEnded(site);
  await startEcho(device, homeAddresses.device, echoPort);
  site.startTerminal(['forward', mediatorName, `${entremise.port}:${target}`]);
  await terminal.untilListening('tcp', entremise.port);
  const path = { server, serverAddress: homeAddresses.server, gateway, folder };
  await startSsh(path, [{ cipher: undefined, forwards: [{ port: ssh.port, target }] }]);
}

function throughTunnel(site: Site, { address, port }: Tunnel, atOnce: number, seconds: number): RoundTripRun {
  const client = site.home.terminal;
  const durationMs = seconds * 1000;
  return { client, address, port, manner: { stream: { atOnce } }, warmUpMs: 1000, durationMs };
}

const rateName = (tunnel: Tunnel, atOnce: number) => `${tunnel.what}.${atOnce}`;

function rateVariants(site: Site, seconds: number): Variant[] {
  return crowds.flatMap(atOnce =>
    [entremise, ssh, bareNode].map(tunnel => ({
      what: rateName(tunnel, atOnce),
      unit: 'streams/s',
      measure: async () => (await roundTrips(throughTunnel(site, tunnel, atOnce, seconds))).perSecond,
    })),
  );
}

function rateFigures(values: RoundValues): Figure[] {
  const of = (tunnel: Tunnel, atOnce: number) => valuesOf(values, rateName(tunnel, atOnce));
  return crowds.flatMap(atOnce => [
    {
      name: `streams.vs_ssh_${atOnce}`,
      value: medianRatio(of(entremise, atOnce), of(ssh, atOnce)),
      unit: 'ratio',
      goal: atOnce === 16 ? atLeast(1) : undefined,
    },
    {
      name: `streams.rate_${atOnce}`,
      value: median(of(entremise, atOnce)),
      unit: 'streams/s',
      goal: undefined,
    },
    {
      name: `streams.bare_node_vs_ssh_${atOnce}`,
      value: medianRatio(of(bareNode, atOnce), of(ssh, atOnce)),
      unit: 'ratio',
      goal: undefined,
    },
  ]);
}

async function measureRates(context: BenchContext, folder: string): Promise<Figure[]> {
  context.progress('streams: building the home, enrolling server, mediator and terminal');
  return withSite('bench', { grant }, async site => {
    await startEnds(site, folder);
    await startBareNode(site.home);
    const variants = rateVariants(site, context.quick ? 1 : 4);
    await warmUp(context, variants);
    return rateFigures(await measureRounds(context, context.quick ? 1 : 5, variants));
  });
}

const oneWayMs = 20;
const firstByte = { entremise: 'entremise.first_byte', ssh: 'ssh.first_byte', path: 'path.round_trip' };
const directPort = 7;

/** What it takes on the long line: the routed path, a new stream, and the same through ssh. */
function longLineVariants(site: Site, seconds: number): Variant[] {
  const p50 = (what: string, run: RoundTripRun): Variant => {
    return { what, unit: 'ms', measure: async () => (await roundTrips(run)).p50Ms };
  };
  const path: RoundTripRun = {
    client: site.home.device,
    address: homeAddresses.terminal,
    port: directPort,
    manner: { ping: { everyMs: 50 } },
    warmUpMs: 500,
    durationMs: seconds * 1000,
  };
  return [
    p50(firstByte.path, path),
    p50(firstByte.entremise, throughTunnel(site, entremise, 1, seconds)),
    p50(firstByte.ssh, throughTunnel(site, ssh, 1, seconds)),
  ];
}

function longLineFigures(values: RoundValues): Figure[] {
  const ratio = (what: string) => medianRatio(valuesOf(values, what), valuesOf(values, firstByte.path));
  const figure = (name: string, value: number, goal?: Figure['goal']): Figure => {
    return { name: `streams.${name}`, value, unit: 'round trips', goal };
  };
  return [
    figure('first_byte_rtts', ratio(firstByte.entremise), atMost(1.1)),
    figure('ssh_first_byte_rtts', ratio(firstByte.ssh)),
  ];
}

async function measureLongLine(context: BenchContext, folder: string): Promise<Figure[]> {
  context.progress(`streams: a line of ${oneWayMs} ms each way`);
  const line = { line: { delayMs: oneWayMs } };
  return withSite(
    'bench',
    { grant },
    async site => {
      await startEnds(site, folder);
      await startEcho(site.home.terminal, homeAddresses.terminal, directPort);
      const variants = longLineVariants(site, context.quick ? 1 : 4);
      await warmUp(context, variants);
      return longLineFigures(await measureRounds(context, context.quick ? 1 : 5, variants));
    },
    line,
  );
}

/** See the head of this file. */
export const streamsBench: Bench = {
  name: 'streams',
  summary: 'new streams a second, against ssh, and how long a new one takes on a long line',
  async run(context) {
    const rates = await withSshFolder(folder => measureRates(context, folder));
    return [...rates, ...(await withSshFolder(folder => measureLongLine(context, folder)))];
  },
};
