import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Site } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { median, medianRatio } from './median.ts';
import { atLeast, atMost, type Figure, type Goal } from './report.ts';
import { allowedLoss, type Load, type Reading, UdpLoad, type UdpWay } from './udp-load.ts';
import {
  attachedWay,
  channelsWay,
  coturnWay,
  openVpnWay,
  relayWay,
  segmentOnWan,
  sinkAt,
  socatWay,
} from './udp-ways.ts';
import { withSite } from './with-home.ts';

/**
 * Datagrams from a device of the home to a sink outside, over one path with two NATs in it:
 *
 *   attached    device - mediator ==AEAD== server - sink                   the product: a standing service, two programs
 *   entremise   device - relay (gateway) ==AEAD== relay (server) - sink    its relays alone, with a suite of our choice
 *   channels    the same, with the server swapping to a terminal's channel, opened there: three programs
 *   coturn      device ------------------ turnserver (server) - sink       one program, plain, ChannelData
 *   socat       device ------------------ socat (server) - sink            one program, plain
 *   openvpn     device - openvpn (gateway) ==AEAD== openvpn (server) - sink  routed by the kernel
 *
 * The relays alone are the product's own, in a process that does nothing else (udp-relay-end.ts): keys are fixed and nobody
 * attaches. A rate counts when less than a thousandth is lost: the generator keeps so many on the way that each way does its
 * best (udp-load.ts). CPU is the mean of a way's programs, with what the kernel does in their name.
 */

const attached = 'entremise-attached';
const aes = 'entremise-aes-128-gcm';
const chacha = 'entremise-chacha20-poly1305';
const channels = 'entremise-channels-aes-128-gcm';

interface Case {
  readonly what: string;
  readonly load: Omit<Load, 'seconds'>;
  readonly ways: readonly string[];
}

const everyWay = [attached, aes, chacha, channels, 'coturn', 'socat', 'openvpn'];

const cases: readonly Case[] = [
  { what: '200', load: { bytes: 200, rate: 0 }, ways: everyWay },
  { what: '64', load: { bytes: 64, rate: 0 }, ways: everyWay },
  { what: '1200', load: { bytes: 1200, rate: 0 }, ways: everyWay },
  { what: '200.at50k', load: { bytes: 200, rate: 50_000 }, ways: [attached, aes, chacha, 'coturn'] },
  { what: '200.at1k', load: { bytes: 200, rate: 1_000 }, ways: [attached, aes, chacha, 'coturn'] },
];

const quickCases: readonly string[] = ['200', '200.at50k', '200.at1k'];

/** Of every way in every case, one a round. */
class Readings {
  private readonly readings = new Map<string, Reading[]>();

  add(way: string, what: string, reading: Reading): void {
    const key = `${way}.${what}`;
    this.readings.set(key, [...(this.readings.get(key) ?? []), reading]);
  }

  of(way: string, what: string, field: keyof Reading): number[] {
    return (this.readings.get(`${way}.${what}`) ?? []).map(reading => reading[field]);
  }

  ratio(way: string, other: string, what: string, field: keyof Reading): number {
    return medianRatio(this.of(way, what, field), this.of(other, what, field));
  }
}

async function startWays(site: Site, folder: string): Promise<UdpWay[]> {
  const { home } = site;
  return [
    await attachedWay(site, 8447),
    await relayWay(home, 'aes-128-gcm', 8446),
    await relayWay(home, 'chacha20-poly1305', 8444),
    await channelsWay(home, 'aes-128-gcm', 8445),
    await coturnWay(home, folder),
    await socatWay(home),
    await openVpnWay(home, folder),
  ];
}

interface Taking {
  readonly context: BenchContext;
  readonly load: UdpLoad;
  readonly ways: readonly UdpWay[];
  readonly readings: Readings;
}

async function take({ context, load, ways, readings }: Taking, round: number, one: Case): Promise<void> {
  const seconds = context.quick ? 1 : 3;
  for (const way of ways.filter(({ what }) => one.ways.includes(what))) {
    const reading = await load.send(way, { ...one.load, seconds });
    if (round === 0) continue;
    readings.add(way.what, one.what, reading);
    const record = (field: string, value: number, unit: string) =>
      context.record({ round, what: `${way.what}.${one.what}.${field}`, value, unit });
    record('rate', reading.kpps, 'k/s');
    record('loss', reading.loss * 100, '%');
    record('cpu', reading.cpuUs, 'us');
    record('p50', reading.p50Us, 'us');
    record('p99', reading.p99Us, 'us');
  }
}

async function measure(site: Site, context: BenchContext, folder: string): Promise<readonly Figure[]> {
  const { home } = site;
  const { device, terminal } = home;
  const load = await UdpLoad.start({ device, address: homeAddresses.device }, { sink: terminal, ...sinkAt });
  try {
    const taking = { context, load, ways: await startWays(site, folder), readings: new Readings() };
    const software = {
      what: '200.software',
      load: { bytes: 200, rate: 0 },
      ways: [attached, aes, chacha, 'coturn'],
    };
    const wanted = context.quick ? cases.filter(({ what }) => quickCases.includes(what)) : cases;
    for (let round = context.quick ? 1 : 0; round <= (context.quick ? 1 : 5); round++) {
      for (const one of wanted) await take(taking, round, one);
      await segmentOnWan(home, false);
      await take(taking, round, software);
      await segmentOnWan(home, true);
    }
    return figuresOf(taking.readings, context.quick);
  } finally {
    load.end();
  }
}

function against(readings: Readings, other: string, what: string, name: string, goals: readonly Goal[] = []) {
  return [
    { name: `udp.attached_vs_${other}_${name}`, way: attached, goal: goals[0] },
    { name: `udp.vs_${other}_${name}_aes`, way: aes, goal: goals[0] },
    { name: `udp.vs_${other}_${name}_chacha`, way: chacha, goal: goals[1] },
  ].map(
    ({ name: figure, way, goal }): Figure => ({
      name: figure,
      value: readings.ratio(way, other, what, 'kpps'),
      unit: 'ratio',
      goal,
    }),
  );
}

function cpu(readings: Readings, what: string, name: string, goal: Goal): Figure[] {
  return [
    { figure: `udp.attached_cpu_vs_coturn_${name}`, way: attached },
    { figure: `udp.cpu_vs_coturn_${name}`, way: aes },
  ].map(({ figure, way }) => ({
    name: figure,
    value: readings.ratio(way, 'coturn', what, 'cpuUs'),
    unit: 'ratio',
    goal,
  }));
}

/** A way, as its figures name it. */
const nameOf = (way: string) => (way === aes ? 'aes' : way.replace('entremise-', ''));

function latencies(readings: Readings, what: string): Figure[] {
  return ['p50', 'p99'].flatMap(share =>
    [attached, aes, 'coturn'].map(way => ({
      name: `udp.latency_${what.split('.')[1]}_${share}_${nameOf(way)}`,
      value: median(readings.of(way, what, share === 'p50' ? 'p50Us' : 'p99Us')),
      unit: 'us',
      goal: undefined,
    })),
  );
}

function figuresOf(readings: Readings, quick: boolean): Figure[] {
  const goals = [atLeast(1.5), atLeast(1.1)];
  const saturated = quick ? ['200', '200.software'] : ['200', '64', '1200', '200.software'];
  const lost = saturated.flatMap(what =>
    [attached, aes, chacha].flatMap(way => readings.of(way, what, 'loss')),
  );
  const ours = [
    ...against(readings, 'coturn', '200', '200', goals),
    ...cpu(readings, '200', 'saturated', atMost(0.5)),
    ...against(readings, 'coturn', '200.software', '200_software', goals),
    ...against(readings, 'socat', '200', '200'),
    ...against(readings, 'openvpn', '200', '200'),
    {
      name: 'udp.channels_vs_coturn_200',
      value: readings.ratio(channels, 'coturn', '200', 'kpps'),
      unit: 'ratio',
      goal: undefined,
    },
    { name: 'udp.loss', value: Math.max(...lost), unit: 'share', goal: atMost(allowedLoss) },
  ];
  return [
    ...ours,
    ...(quick ? [] : ['64', '1200'].flatMap(bytes => against(readings, 'coturn', bytes, bytes))),
    ...cpu(readings, '200.at50k', '50k', atMost(1.1)),
    ...['200.at1k', '200.at50k'].flatMap(what => latencies(readings, what)),
  ];
}

/** See the head of this file. */
export const udpBench: Bench = {
  name: 'udp',
  summary:
    'datagrams a second, CPU and latency through mediator and server, and their relays alone, against coturn, socat and OpenVPN',
  async run(context) {
    context.progress('udp: building the home, enrolling all, starting relays, coturn, socat and OpenVPN');
    const folder = await mkdtemp(join(tmpdir(), 'entremise-udp-'));
    try {
      return await withSite('bench', {}, site => measure(site, context, folder));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
