import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { blockTcp, blockUdp, type Namespace, type Program, until } from 'netns-test-helpers';
import { cliCommand, mediatorName, serverAddress, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath, startNameServer } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { type Json, jsonLines, type Teardown, untilJson } from './support/verbs.ts';

/**
 * Plain UDP through the server (P7.6), both ways and behind two NATs: clients out there reach a LAN's services by ports of
 * the server, and devices reach a plain server out there by a port of the mediator.
 */

const { device, gatewayLan, server, terminal } = homeAddresses;
const [publishedDns, publishedMirror, sip] = [5353, 7007, 5060];

const rules = `
[[publish]]
mediator = "${mediatorName}"
on = "${server}:${publishedDns}"
to = "${device}:53"
from = ["${terminal}"]

[[publish]]
mediator = "${mediatorName}"
on = "${server}:${publishedMirror}"
to = "${device}:7"
from = ["203.0.113.0/24"]

[[service]]
mediator = "${mediatorName}"
at = "${gatewayLan}:${sip}"
to = "${terminal}:${sip}"
`;

/** UDP clients in a namespace, a round of questions at a time. */
class Clients {
  private round = 0;
  private readonly program: Program;
  private readonly count: number;

  constructor(t: Teardown, where: Namespace, address: string, number: number, count: number, first = 0) {
    const words = [programPath('udp-clients.mjs'), address, String(number), String(count), String(first)];
    this.program = where.spawn([process.execPath, ...words], { stdin: 'pipe' });
    this.count = count;
    t.teardown(() => this.program.stop('SIGKILL'));
  }

  /** Asks from each until all are answered; what the service saw of each, `address number`. */
  async ask(deadlineMs = 30_000): Promise<string[]> {
    await untilJson(this.program, 'that it is ready', ({ ready }) => ready === true);
    const answers = () => jsonLines(this.program.stdout).filter(({ round }) => round === this.round);
    this.round++;
    this.program.write('ask\n');
    const seen = await until(() => (answers().length === this.count ? answers() : undefined), {
      what: `${this.program} to be answered`,
      deadlineMs,
      explain: () => this.program.stdout.slice(-2000),
    });
    const inOrder = [...seen].sort((one: Json, other: Json) => Number(one.client) - Number(other.client));
    return inOrder.map(({ reply }) => String(reply).replace(/^.* from /, ''));
  }
}

async function startMirror(where: Namespace, address: string, number: number): Promise<void> {
  where.spawn([process.execPath, programPath('udp-mirror.mjs'), address, String(number)]);
  await where.untilListening('udp', number);
}

const claim = setStage({
  name: 'scpub',
  home: { ports: 'fully-random' },
  peers: async home => {
    await startNameServer(home.device, device, { 'tv.home.example': '192.168.1.77' });
    await startMirror(home.device, device, 7);
    await startMirror(home.terminal, terminal, sip);
  },
  share: async ({ site, home }) => {
    const state = join(site.directory, 'server');
    for (const feature of ['publish', 'service']) {
      const { code } = await site.authority('invite', 'terminal', `isp-${feature}`);
      const words = [
        'server',
        'enroll-feature',
        feature,
        '--server',
        serverAddress,
        '--state',
        state,
        '--json',
      ];
      const enrolled = await home.server.run(cliCommand(...words), { env: { ENTREMISE_CODE: String(code) } });
      const { key } = JSON.parse(enrolled) as { key: string };
      const grant = ['--terminal', key, '--mediator', mediatorName, '--purpose', 'service'];
      const may = ['--allow', 'open,redirect,close,query,datagram', '--target', 'lan'];
      await site.operator('grant', 'create', ...grant, ...may);
    }
    appendFileSync(join(state, 'server.toml'), rules);
    await site.server.stop('SIGTERM');
    const now = site.startServer();
    const isApplied = () => jsonLines(now.stderr).some(line => line.state === 'applied');
    await until(isApplied, {
      what: 'the service to be applied',
      deadlineMs: 60_000,
      explain: () => `server: ${now.stderr.slice(-3000)}\nmediator: ${site.mediator.stderr.slice(-3000)}`,
    });
    return { now };
  },
});

claim('P7.6: dig out there asks a dnsmasq of the LAN through a port of the server', async (t, { home }) => {
  const words = [
    `@${server}`,
    '-p',
    String(publishedDns),
    '+short',
    '+tries=5',
    '+time=2',
    'tv.home.example',
  ];
  t.is((await home.terminal.run(['dig', ...words])).trim(), '192.168.1.77');
});

claim(
  'P7.6: who is outside the networks that a port is published for gets no answer',
  async (t, { home }) => {
    const words = [
      `@${server}`,
      '-p',
      String(publishedDns),
      '+short',
      '+tries=1',
      '+time=1',
      'tv.home.example',
    ];
    const { code } = await home.carrier.exec(['dig', '-b', '203.0.113.2', ...words]);
    t.is(code, 9);
  },
);

claim(
  'P7.6: each client has a mediator port of its own, which stays while TCP is blocked and while UDP is',
  async (t, { home }) => {
    const clients = new Clients(t, home.terminal, server, publishedMirror, 3);
    const first = await clients.ask();
    t.is(new Set(first).size, 3);
    t.true(first.every(each => each.startsWith(`${gatewayLan} `)));
    const blocked = { how: 'drop', ports: [servicePort], outside: 'net' } as const;
    const tcp = await home.carrier.apply(blockTcp(blocked));
    t.deepEqual(await clients.ask(4_000), first);
    await tcp.remove();
    const udp = await home.carrier.apply(blockUdp(blocked));
    t.deepEqual(await clients.ask(60_000), first);
    await udp.remove();
    t.deepEqual(await clients.ask(60_000), first);
  },
);

claim(
  'P7.6: devices reach a plain server out there, each from a server socket of its own, whatever carries it',
  async (t, { home }) => {
    const devices = new Clients(t, home.device, gatewayLan, sip, 3, 6000);
    const first = await devices.ask();
    t.is(new Set(first).size, 3);
    t.true(first.every(each => each.startsWith(`${server} `)));
    const udp = await home.carrier.apply(blockUdp({ how: 'drop', ports: [servicePort], outside: 'net' }));
    t.teardown(() => udp.remove());
    t.deepEqual(await devices.ask(60_000), first);
    await udp.remove();
    t.deepEqual(await devices.ask(60_000), first);
  },
);
