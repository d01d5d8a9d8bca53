import process from 'node:process';
import { mediatorFlags, mediatorName, type Site } from '../site.ts';
import type { Box } from '../topologies/box.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { BenchContext } from './bench.ts';
import { iperfGbits, startIperfServer } from './iperf.ts';
import { median, medianRatio } from './median.ts';
import type { Figure } from './report.ts';
import { highestResidentMb, highestWhile, ownMb } from './resident.ts';
import { measureRounds, type RoundValues, valuesOf } from './rounds.ts';
import { startSsh } from './ssh-tunnel.ts';
import { UdpLoad } from './udp-load.ts';
import { gatewayTurnWay, relayWay, sinkAt } from './udp-ways.ts';

/** Loads through what runs in boxes on the gateway. */

/** What both loads need. */
export interface RouterBench {
  readonly site: Site;
  readonly context: BenchContext;
  readonly folder: string;
  /** A box for one more program. */
  boxFor(name: string): Box;
}

const devicePort = 5201;
const forwardPort = 15_201;
const target = `${homeAddresses.device}:${devicePort}`;

const peers = [
  { what: 'ssh-aes128-gcm', port: 15_203, cipher: 'aes128-gcm@openssh.com', client: 'ssh' },
  { what: 'ssh-default', port: 15_204, cipher: undefined, client: 'ssh' },
  { what: 'dropbear', port: 15_205, cipher: undefined, client: 'dropbear' },
] as const;

/** How the loads went, and the memory of the mediator before and during them, in MB. */
export interface TcpOutcome {
  readonly figures: readonly Figure[];
  readonly idleMb: number;
  /** The part of it that is no page of the program's. */
  readonly idleOwnMb: number;
  /** Of a Node in a box of its own that does nothing. */
  readonly nodeMb: number;
  readonly bulkMb: number;
}

async function startPeers({ site, folder, boxFor }: RouterBench): Promise<void> {
  const { server, gateway } = site.home;
  const path = { server, serverAddress: homeAddresses.server, gateway, folder };
  const tunnels = peers.map(({ what, port, cipher, client }) => {
    const wrapper = boxFor(what).wrapper(folder);
    return { cipher, client, wrapper, forwards: [{ port, target }] };
  });
  await startSsh(path, tunnels);
}

/** The floor: a Node with the mediator's flags and nothing to do. */
async function idleNodeMb({ site, folder, boxFor }: RouterBench): Promise<number> {
  const words = [process.execPath, ...mediatorFlags, '-e', 'setInterval(() => {}, 1e6)'];
  const program = site.home.gateway.spawn([...boxFor('node').wrapper(folder), ...words]);
  const idleMb = await highestResidentMb(program.pid, 1);
  await program.stop();
  return idleMb;
}

const directions = ['up', 'down'] as const;

/** A bulk stream in each direction, through each of the ways. `up` leaves the home. */
export async function tcpFigures(bench: RouterBench): Promise<TcpOutcome> {
  const { site, context } = bench;
  const { device, terminal } = site.home;
  const mediator = site.startMediator();
  const seconds = context.quick ? 1 : 4;
  await startIperfServer(device, devicePort);
  await site.terminal('mediators', '--wait', mediatorName);
  const idleMb = await highestResidentMb(mediator.pid, context.quick ? 1 : 6);
  const idleOwnMb = ownMb(mediator.pid);
  const nodeMb = await idleNodeMb(bench);
  site.startTerminal(['forward', mediatorName, `${forwardPort}:${target}`]);
  await terminal.untilListening('tcp', forwardPort);
  await startPeers(bench);
  const ways = [
    { what: 'entremise', address: '127.0.0.1', port: forwardPort },
    ...peers.map(({ what, port }) => ({ what, address: homeAddresses.server, port })),
  ];
  const variants = directions.flatMap(direction =>
    ways.map(({ what, address, port }) => ({
      what: `${what}.${direction}`,
      unit: 'Mbit/s',
      measure: async () => {
        const flow = direction === 'up' ? 'to-client' : 'from-client';
        return 1000 * (await iperfGbits({ client: terminal, address, port, flow, seconds }));
      },
    })),
  );
  const measured = measureRounds(context, context.quick ? 1 : 5, variants);
  const bulkMb = await highestWhile(mediator.pid, measured);
  return { figures: figuresOfTcp(await measured), idleMb, idleOwnMb, nodeMb, bulkMb };
}

function figuresOfTcp(values: RoundValues): Figure[] {
  const both = (what: string) => directions.flatMap(direction => valuesOf(values, `${what}.${direction}`));
  const against = (name: string, what: string): Figure => ({
    name: `router.tcp_vs_${name}`,
    value: medianRatio(both('entremise'), both(what)),
    unit: 'ratio',
    goal: undefined,
  });
  return [
    ...directions.map(direction => ({
      name: `router.tcp_${direction}`,
      value: median(valuesOf(values, `entremise.${direction}`)),
      unit: 'Mbit/s',
      goal: undefined,
    })),
    against('dropbear', 'dropbear'),
    against('ssh_aes', 'ssh-aes128-gcm'),
    against('ssh_default', 'ssh-default'),
  ];
}

const sizes = [200, 1200] as const;

/** Datagrams of two sizes, as fast as they arrive, through the relay and through coturn. */
export async function udpFigures({ site, context, folder, boxFor }: RouterBench): Promise<Figure[]> {
  const { home } = site;
  const { device, terminal } = home;
  const load = await UdpLoad.start({ device, address: homeAddresses.device }, { sink: terminal, ...sinkAt });
  try {
    const ways = [
      await relayWay(home, 'aes-128-gcm', 8444, boxFor('relay').wrapper(folder)),
      await gatewayTurnWay(home, folder, boxFor('turn').wrapper(folder)),
    ];
    const variants = sizes.flatMap(bytes =>
      ways.map(way => ({
        what: `${way.turn ? 'coturn' : 'entremise'}.${bytes}`,
        unit: 'k/s',
        measure: async () => (await load.send(way, { bytes, rate: 0, seconds: context.quick ? 1 : 4 })).kpps,
      })),
    );
    return figuresOfUdp(await measureRounds(context, context.quick ? 1 : 5, variants));
  } finally {
    load.end();
  }
}

function figuresOfUdp(values: RoundValues): Figure[] {
  const of = (what: string) => valuesOf(values, what);
  return sizes.flatMap(bytes => [
    {
      name: `router.udp_${bytes}_kpps`,
      value: median(of(`entremise.${bytes}`)),
      unit: 'k/s',
      goal: undefined,
    },
    {
      name: `router.udp_vs_coturn_${bytes}`,
      value: medianRatio(of(`entremise.${bytes}`), of(`coturn.${bytes}`)),
      unit: 'ratio',
      goal: undefined,
    },
  ]);
}
