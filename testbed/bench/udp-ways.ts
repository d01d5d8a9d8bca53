import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Namespace, type Program, until } from 'netns-test-helpers';
import type { PacketSuite } from '../../src/wire/packet-key.ts';
import { enrolFeature } from '../scenarios/support/plain-udp.ts';
import { cliCommand, mediatorName, type Site } from '../site.ts';
import { type Home, homeAddresses } from '../topologies/home.ts';
import type { UdpWay } from './udp-load.ts';

/** The ways that the bench of UDP compares, each started in the same home. The lab ends them. */

/** Where the sink is. */
export const sinkAt = { address: homeAddresses.terminal, number: 9000 };

const { server: serverAddress, gatewayLan } = homeAddresses;

const relayEnd = fileURLToPath(new URL('udp-relay-end.js', import.meta.url));

async function said(program: Program, word: string): Promise<void> {
  await until(() => program.stdout.includes(word), {
    what: `a program to say "${word}"`,
    explain: () => program.stderr,
  });
}

/**
 * Mediator's and server's relay: sealed on the gateway, opened on the server, sent to the sink. `wrapper`: words before the
 * gateway's program.
 */
export async function relayWay(
  home: Home,
  suite: PacketSuite,
  number: number,
  wrapper: readonly string[] = [],
): Promise<UdpWay> {
  const places = [serverAddress, number].map(String);
  const server = home.server.node(relayEnd, [
    'server',
    suite,
    ...places,
    sinkAt.address,
    String(sinkAt.number),
  ]);
  await said(server, 'ready');
  const words = ['mediator', suite, gatewayLan, String(number), ...places];
  const mediator = home.gateway.spawn([...wrapper, process.execPath, relayEnd, ...words]);
  await said(server, 'up');
  return {
    what: `entremise-${suite}`,
    to: { address: gatewayLan, number },
    turn: false,
    programs: [mediator, server],
  };
}

/** The same, but the server swaps to the channel of a terminal, which opens it and sends to the sink. */
export async function channelsWay(home: Home, suite: PacketSuite, number: number): Promise<UdpWay> {
  const places = [serverAddress, number].map(String);
  const server = home.server.node(relayEnd, ['server-to-channel', suite, ...places]);
  await said(server, 'ready');
  const mediator = home.gateway.node(relayEnd, ['mediator', suite, gatewayLan, String(number), ...places]);
  await said(server, 'up');
  const sink = [sinkAt.address, String(sinkAt.number)];
  const terminal = home.terminal.node(relayEnd, ['terminal', suite, ...places, ...sink]);
  await said(terminal, 'ready');
  await until(() => server.stdout.split('up').length > 2, { what: 'the terminal to be heard' });
  return {
    what: `entremise-channels-${suite}`,
    to: { address: gatewayLan, number },
    turn: false,
    programs: [mediator, server, terminal],
  };
}

/**
 * The whole product: a standing service of the server has a port of the mediator redirected, and its datagrams come out at the
 * sink. Suite and keys are what mediator and server have agreed upon.
 */
export async function attachedWay(site: Site, number: number): Promise<UdpWay> {
  const { home, directory, mediator, server } = site;
  await until(() => mediator.stderr.includes('UDP channel up'), {
    what: 'the UDP channel',
    deadlineMs: 60_000,
  });
  await enrolFeature(site, 'service');
  const file = join(directory, 'services.toml');
  const [at, to] = [`${gatewayLan}:${number}`, `${sinkAt.address}:${sinkAt.number}`];
  writeFileSync(
    file,
    `[[service]]\nname = "bench"\nmediator = "${mediatorName}"\nat = "${at}"\nto = "${to}"\n`,
  );
  await home.server.run(cliCommand('service', 'apply', file, '--state', join(directory, 'server')));
  await until(() => server.stderr.includes('"state":"applied"'), {
    what: 'the service to be applied',
    deadlineMs: 60_000,
    explain: () => server.stderr.slice(-2_000),
  });
  return {
    what: 'entremise-attached',
    to: { address: gatewayLan, number },
    turn: false,
    programs: [mediator, server],
  };
}

/** Where a coturn is, and how it is run. */
interface TurnPlace {
  readonly where: Namespace;
  /** Where devices reach it, and where it sends from. */
  readonly listen: string;
  readonly relay: string;
  readonly wrapper: readonly string[];
}

/** coturn on the server, with ChannelData from the device. No encryption. */
export function coturnWay(home: Home, folder: string): Promise<UdpWay> {
  const place = { where: home.server, listen: serverAddress, relay: serverAddress, wrapper: [] };
  return turnWay(place, folder);
}

/** coturn where the mediator is, behind `wrapper`: what relays on the gateway cost that do not leave it encrypted. */
export function gatewayTurnWay(home: Home, folder: string, wrapper: readonly string[]): Promise<UdpWay> {
  return turnWay({ where: home.gateway, listen: gatewayLan, relay: '100.64.0.2', wrapper }, folder);
}

async function turnWay({ where, listen, relay, wrapper }: TurnPlace, folder: string): Promise<UdpWay> {
  const number = 3478;
  const addresses = ['-L', listen, '-E', relay, '-p', String(number)];
  const quiet = [
    '--no-cli',
    '--no-tls',
    '--no-dtls',
    '--log-file',
    'stdout',
    '--pidfile',
    join(folder, 'pid'),
  ];
  const program = where.spawn([
    ...wrapper,
    'turnserver',
    '-n',
    '--no-auth',
    '--relay-threads',
    '2',
    ...addresses,
    ...quiet,
  ]);
  await where.untilListening('udp', number);
  return { what: 'coturn', to: { address: listen, number }, turn: true, programs: [program] };
}

/** socat on the server. No encryption. */
export async function socatWay(home: Home): Promise<UdpWay> {
  const number = 5010;
  const target = `UDP4-SENDTO:${sinkAt.address}:${sinkAt.number}`;
  const program = home.server.spawn(['socat', '-u', '-b', '2048', `UDP4-RECV:${number}`, target]);
  await home.server.untilListening('udp', number);
  return { what: 'socat', to: { address: serverAddress, number }, turn: false, programs: [program] };
}

/** Where the tunnel's ends are, inside it. */
const tunnel = { server: '10.99.0.1', gateway: '10.99.0.2' };

async function certificate(home: Home, folder: string, name: string): Promise<string> {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await home.server.run([
    'openssl',
    'req',
    '-x509',
    ...kind,
    '-subj',
    `/CN=${name}`,
    '-keyout',
    key,
    '-out',
    cert,
  ]);
  const printed = await home.server.run([
    'openssl',
    'x509',
    '-in',
    cert,
    '-noout',
    '-fingerprint',
    '-sha256',
  ]);
  return printed.trim().split('=')[1] ?? '';
}

/** OpenVPN between gateway and server, through which the gateway routes to the sink. AES-128-GCM. */
export async function openVpnWay(home: Home, folder: string): Promise<UdpWay> {
  const prints = {
    server: await certificate(home, folder, 'server'),
    gateway: await certificate(home, folder, 'gateway'),
  };
  const common = (own: 'server' | 'gateway', other: 'server' | 'gateway') => [
    ...['openvpn', '--dev', 'tun0', '--dev-type', 'tun', '--proto', 'udp', '--verb', '3', '--disable-dco'],
    ...['--ifconfig', tunnel[own], tunnel[other], '--peer-fingerprint', prints[other]],
    ...['--cert', join(folder, `${own}.crt`), '--key', join(folder, `${own}.key`)],
    ...['--data-ciphers', 'AES-128-GCM', '--sndbuf', '4000000', '--rcvbuf', '4000000'],
  ];
  const asServer = ['--tls-server', '--dh', 'none', '--local', serverAddress, '--port', '1194'];
  const server = home.server.spawn([...common('server', 'gateway'), ...asServer]);
  const asClient = ['--tls-client', '--nobind', '--remote', serverAddress, '1194'];
  const gateway = home.gateway.spawn([...common('gateway', 'server'), ...asClient]);
  await said(server, 'Initialization Sequence Completed');
  await said(gateway, 'Initialization Sequence Completed');
  await home.server.enableForwarding();
  await home.gateway.ip(`route replace ${sinkAt.address}/32 via ${tunnel.server} dev tun0`);
  await home.terminal.route('192.168.1.0/24', serverAddress);
  return { what: 'openvpn', to: sinkAt, turn: false, programs: [gateway, server] };
}

/** Switches the cutting up of datagrams by the WAN devices on or off: off, the kernel does it. */
export async function segmentOnWan(home: Home, on: boolean): Promise<void> {
  const word = on ? 'on' : 'off';
  await home.gateway.run(['ethtool', '-K', 'wan', 'tx-udp-segmentation', word]);
  await home.server.run(['ethtool', '-K', 'eth0', 'tx-udp-segmentation', word]);
}
