import { join } from 'node:path';
import { mediatorName, type Site, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import type { Bench, BenchContext } from './bench.ts';
import { type CallReading, type CallWay, callBytes, callFlows, LineCount, openByTcp } from './call-flows.ts';
import { iperfGbits, startIperfServer } from './iperf.ts';
import { median, medianRatio } from './median.ts';
import { atMost, type Figure } from './report.ts';
import { startSsh, withSshFolder } from './ssh-tunnel.ts';
import { withSite } from './with-home.ts';

/**
 * Flows of 50 datagrams of 160 B a second from the device to the terminal, while one bulk stream that leaves the home fills
 * a bottleneck of 100 Mbit/s which loses one packet in a hundred:
 *
 *   direct   device --- NATs --- terminal                                plain UDP, no tunnel
 *   udp      device - mediator ==UDP channel== server == terminal        a redirected port (expose)
 *   tcp      device - mediator ==TCP channel== server == terminal        an opened port that is not redirected
 *   ssh      device (socat) - ssh ==TCP== sshd - terminal (socat)        UDP in a forwarded connection
 *
 * Direct, udp and tcp run at once, with the bulk in Entremise's link; then direct and ssh, with the bulk in the ssh
 * connection. What the line itself has lost of the redirected flow is counted at both its ends.
 */

const line = { rateKbit: 100_000, lossRatio: 0.01, queueMs: 20 } as const;
const bulkPort = 5201;
const bulk = { entremise: 15_201, ssh: 16_201 } as const;
const sshFlowPort = 16_007;
const { device, gatewayLan, server: serverAddress, terminal: terminalAddress } = homeAddresses;
const loopback = (number: number) => ({ address: '127.0.0.1', number });

const direct: CallWay = {
  what: 'direct',
  to: { address: terminalAddress, number: 7_000 },
  at: { address: terminalAddress, number: 7_000 },
};
const udp: CallWay = { what: 'udp', to: { address: gatewayLan, number: 7_001 }, at: loopback(7_001) };
const ssh: CallWay = { what: 'ssh', to: loopback(7_003), at: loopback(7_004) };
const tcpLocal = 7_002;

/** What one round gives: of each way, and what was lost of the redirected flow elsewhere than on the line. */
interface Round {
  readonly readings: ReadonlyMap<string, CallReading>;
  readonly added: number;
}

async function startEntremise(site: Site): Promise<CallWay> {
  const { terminal } = site.home;
  site.startTerminal(['forward', mediatorName, `${bulk.entremise}:${device}:${bulkPort}`]);
  await terminal.untilListening('tcp', bulk.entremise);
  const exposing = site.startTerminal([
    'expose',
    mediatorName,
    `${udp.to.number}/udp`,
    `127.0.0.1:${udp.at.number}`,
    '--json',
  ]);
  await exposing.untilOutput(/"expose"/, 30_000);
  const profile = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
  const number = await openByTcp(terminal, [profile, mediatorName, gatewayLan, String(tcpLocal)]);
  return { what: 'tcp', to: { address: gatewayLan, number }, at: loopback(tcpLocal) };
}

/** Both ends of the flow in ssh's forwarded connection; datagrams have one size, so that it can be cut up again. */
async function startSocats({ home }: Site): Promise<void> {
  const each = ['socat', '-u', '-b', String(callBytes)];
  home.device.spawn([...each, `UDP-RECV:${ssh.to.number}`, `TCP-LISTEN:${sshFlowPort},nodelay`]);
  await home.device.untilListening('tcp', sshFlowPort);
  home.terminal.spawn([
    ...each,
    `TCP:${serverAddress}:${sshFlowPort},nodelay`,
    `UDP-SENDTO:127.0.0.1:${ssh.at.number}`,
  ]);
}

async function under(site: Site, tunnel: 'entremise' | 'ssh', ways: readonly CallWay[], seconds: number) {
  const { device: from, terminal } = site.home;
  const address = tunnel === 'ssh' ? serverAddress : '127.0.0.1';
  const filling = {
    client: terminal,
    address,
    port: bulk[tunnel],
    flow: 'to-client',
    seconds: seconds + 1,
  } as const;
  const [gbits, readings] = await Promise.all([
    iperfGbits(filling),
    callFlows(from, terminal, ways, seconds),
  ]);
  return { mbits: gbits * 1_000, readings };
}

async function measureAll(site: Site, context: BenchContext, tcp: CallWay): Promise<Round[]> {
  const { gateway, carrier } = site.home;
  const count = await LineCount.start(
    { where: gateway, by: 'wan' },
    { where: carrier, by: 'sub' },
    servicePort,
  );
  const seconds = context.quick ? 5 : 20;
  const rounds: Round[] = [];
  for (let round = 1; round <= (context.quick ? 1 : 5); round++) {
    const before = await count.lost();
    const ours = await under(site, 'entremise', [direct, udp, tcp], seconds);
    const byLine = (await count.lost()) - before;
    const theirs = await under(site, 'ssh', [{ ...direct, what: 'direct-ssh' }, ssh], seconds);
    const readings = new Map([...ours.readings, ...theirs.readings]);
    const { sent = 0, received = 0 } = readings.get('udp') ?? {};
    rounds.push({ readings, added: sent - received - byLine });
    context.record({ round, what: 'entremise.bulk', value: ours.mbits, unit: 'Mbit/s' });
    context.record({ round, what: 'ssh.bulk', value: theirs.mbits, unit: 'Mbit/s' });
    for (const [what, reading] of readings) {
      context.record({
        round,
        what: `${what}.lost`,
        value: reading.sent - reading.received,
        unit: `of ${reading.sent}`,
      });
      for (const part of ['p50Ms', 'p99Ms', 'jitterMs'] as const)
        context.record({ round, what: `${what}.${part.slice(0, -2)}`, value: reading[part], unit: 'ms' });
    }
  }
  return rounds;
}

function figuresOf(rounds: readonly Round[]): Figure[] {
  const of = (what: string, part: keyof CallReading) =>
    rounds.map(({ readings }) => readings.get(what)?.[part] ?? Number.NaN);
  const lossOf = (what: string) => {
    const sum = (part: 'sent' | 'received') => of(what, part).reduce((total, value) => total + value, 0);
    return 1 - sum('received') / sum('sent');
  };
  const figure = (name: string, value: number, unit: string, goal?: Figure['goal']): Figure => {
    return { name: `call.${name}`, value, unit, goal };
  };
  return [
    figure(
      'loss_added',
      rounds.reduce((sum, { added }) => sum + added, 0),
      'datagrams',
      atMost(0),
    ),
    ...['udp', 'direct'].map(what => figure(`loss_${what}`, lossOf(what), 'share')),
    figure('p99_vs_tcp_channel', medianRatio(of('udp', 'p99Ms'), of('tcp', 'p99Ms')), 'ratio'),
    figure('p99_vs_ssh', medianRatio(of('udp', 'p99Ms'), of('ssh', 'p99Ms')), 'ratio'),
    ...['udp', 'direct', 'tcp', 'ssh'].flatMap(what => [
      figure(`p99_${what}_ms`, median(of(what, 'p99Ms')), 'ms'),
      figure(`jitter_${what}_ms`, median(of(what, 'jitterMs')), 'ms'),
    ]),
  ];
}

async function measure(site: Site, context: BenchContext, folder: string): Promise<readonly Figure[]> {
  const { home } = site;
  await startIperfServer(home.device, bulkPort);
  const tcp = await startEntremise(site);
  context.progress('call: forward, expose and an opened port stand, starting ssh and socat');
  const forwards = [bulk.ssh, sshFlowPort].map(port => {
    return { port, target: `${device}:${port === bulk.ssh ? bulkPort : sshFlowPort}` };
  });
  const path = { server: home.server, serverAddress, gateway: home.gateway, folder };
  await startSsh(path, [{ cipher: undefined, forwards }]);
  await startSocats(site);
  await home.line?.set(line);
  context.progress('call: measuring');
  return figuresOf(await measureAll(site, context, tcp));
}

/** See the head of this file. */
export const callBench: Bench = {
  name: 'call',
  summary:
    'a flow like a telephone call beside a bulk stream on a line that loses 1 %, against no tunnel, TCP channel and ssh',
  run(context) {
    context.progress('call: building the home, enrolling server, mediator and terminal');
    return withSshFolder(folder =>
      withSite('bench', {}, site => measure(site, context, folder), { line: {} }),
    );
  },
};
