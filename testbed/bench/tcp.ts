import { mediatorName, type Site } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { type Flow, iperfGbits, startIperfServer } from './iperf.ts';
import { median, medianRatio } from './median.ts';
import { atLeast, type Figure, type Goal } from './report.ts';
import { measureRounds, type RoundValues, type Variant, valuesOf, warmUp } from './rounds.ts';
import { startSsh, withSshFolder } from './ssh-tunnel.ts';
import { withSite } from './with-home.ts';

/**
 * One bulk stream each way between device and terminal, over one path with two NATs in it:
 *
 *   entremise   iperf3 (terminal) - forward ==TLS== server ==TLS== mediator - iperf3 (device)   two hops, three programs
 *   ssh         iperf3 (terminal) ------- sshd (server) ==ssh== ssh (gateway) - iperf3 (device)  one hop, two programs
 *   direct      iperf3 (device) ------------ routed and translated by the kernel ---- iperf3 (terminal)
 *
 * `up` leaves the home (device to terminal), `down` enters it. Direct is opened by the device, since the NATs let nothing
 * in. A figure without direction is the median over all rounds of both directions.
 */

const devicePort = 5201;
const forwardPort = 15_201;
const directPort = 15_202;
const sshAes = { what: 'ssh-aes128-gcm', port: 15_203, cipher: 'aes128-gcm@openssh.com' };
const sshDefault = { what: 'ssh-default', port: 15_204, cipher: undefined };

const directions = ['up', 'down'] as const;
type Direction = (typeof directions)[number];

interface Way {
  readonly what: string;
  measure(direction: Direction): Promise<number>;
}

/** A tunnel's load is driven from the terminal: up is what comes back to it. */
function tunnel(site: Site, seconds: number, what: string, address: string, port: number): Way {
  const client = site.home.terminal;
  const flow = (direction: Direction): Flow => (direction === 'up' ? 'to-client' : 'from-client');
  return {
    what,
    measure: direction => iperfGbits({ client, address, port, flow: flow(direction), seconds }),
  };
}

function direct(site: Site, seconds: number): Way {
  const run = { client: site.home.device, address: homeAddresses.terminal, port: directPort, seconds };
  return {
    what: 'direct',
    measure: direction => iperfGbits({ ...run, flow: direction === 'up' ? 'from-client' : 'to-client' }),
  };
}

function variantsOf(ways: readonly Way[]): Variant[] {
  return directions.flatMap(direction =>
    ways.map(({ what, measure }) => ({
      what: `${what}.${direction}`,
      unit: 'Gbit/s',
      measure: () => measure(direction),
    })),
  );
}

/** Starts the far ends, and Entremise's forward, and waits until all of them listen. */
async function startEnds(site: Site): Promise<void> {
  const { device, terminal } = site.home;
  await startIperfServer(device, devicePort);
  await startIperfServer(terminal, directPort);
  const target = `${homeAddresses.device}:${devicePort}`;
  site.startTerminal(['forward', mediatorName, `${forwardPort}:${target}`]);
  await terminal.untilListening('tcp', forwardPort);
}

async function measure(site: Site, context: BenchContext, folder: string): Promise<readonly Figure[]> {
  const seconds = context.quick ? 1 : 4;
  const { server, gateway } = site.home;
  await startEnds(site);
  const path = { server, serverAddress: homeAddresses.server, gateway, folder };
  const target = `${homeAddresses.device}:${devicePort}`;
  await startSsh(
    path,
    [sshAes, sshDefault].map(({ cipher, port }) => ({ cipher, forwards: [{ port, target }] })),
  );
  const ways = [
    tunnel(site, seconds, 'entremise', '127.0.0.1', forwardPort),
    ...[sshAes, sshDefault].map(({ what, port }) => tunnel(site, seconds, what, homeAddresses.server, port)),
    direct(site, seconds),
  ];
  const variants = variantsOf(ways);
  await warmUp(context, variants);
  return figuresOf(await measureRounds(context, context.quick ? 1 : 5, variants));
}

function figuresOf(values: RoundValues): Figure[] {
  const of = (what: string, direction: Direction) => valuesOf(values, `${what}.${direction}`);
  const both = (what: string) => directions.flatMap(direction => of(what, direction));
  const against = (name: string, what: string, goal: Goal | undefined): Figure[] => [
    { name: `tcp.${name}`, value: medianRatio(both('entremise'), both(what)), unit: 'ratio', goal },
    ...directions.map(direction => ({
      name: `tcp.${name}_${direction}`,
      value: medianRatio(of('entremise', direction), of(what, direction)),
      unit: 'ratio',
      goal,
    })),
  ];
  return [
    ...against('vs_ssh_aes', sshAes.what, atLeast(0.4)),
    ...against('vs_ssh_default', sshDefault.what, undefined),
    ...against('vs_direct', 'direct', undefined),
    ...directions.map(direction => ({
      name: `tcp.rate_${direction}`,
      value: median(of('entremise', direction)),
      unit: 'Gbit/s',
      goal: undefined,
    })),
  ];
}

/** See the head of this file. */
export const tcpBench: Bench = {
  name: 'tcp',
  summary: 'one bulk TCP stream each way, against ssh and against the routed path',
  run(context) {
    context.progress('tcp: building the home, enrolling server, mediator and terminal');
    return withSshFolder(folder => withSite('bench', {}, site => measure(site, context, folder)));
  },
};
