import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blockTcp, blockUdp, type Namespace, type Program, until } from 'netns-test-helpers';
import { devicePage, startWebServer } from '../demo/device.ts';
import { cliCommand, mediatorName, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { startNameServer, tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { Clients, startFeatures, startMirror } from './support/plain-udp.ts';
import { sipCall, tapAudio } from './support/sip.ts';
import { setStage } from './support/stage.ts';
import { curl, type Json, jsonLines } from './support/verbs.ts';

/**
 * Plain UDP and TCP through the server (P7.6), both ways and behind two NATs: clients out there reach a LAN's services by
 * ports of the server, and devices reach a plain server out there by a port of the mediator. Declared by server.toml, and
 * while the server runs.
 */

const { device, gatewayLan, server, terminal } = homeAddresses;
const [publishedDns, publishedMirror, mirror] = [5353, 7007, 7008];

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
name = "mirror"
mediator = "${mediatorName}"
at = "${gatewayLan}:${mirror}"
to = "${terminal}:${mirror}"
`;

interface Declaring {
  /** The server that runs now. */
  readonly running: { server: Program };
  /** Runs a verb on the server's machine, and gives its --json result. */
  onServer(...words: string[]): Promise<Json>;
}

const claim = setStage<Declaring>({
  name: 'scpub',
  home: { ports: 'fully-random' },
  site: () => ({ mediatorConfig: '[[services]]\nname = "web"\n' }),
  peers: async (home, folder) => {
    await startNameServer(home.device, device, { 'tv.home.example': '192.168.1.77' });
    await startMirror(home.device, device, 7);
    await startMirror(home.terminal, terminal, mirror);
    await startWebServer(home.device, join(folder, 'device'));
    await startWebServer(home.terminal, join(folder, 'isp'));
  },
  share: async ({ site, home }) => {
    const state = join(site.directory, 'server');
    const onServer = async (...words: string[]) =>
      lastJson(await home.server.run(cliCommand(...words, '--state', state, '--json')));
    return { running: { server: await startFeatures(site, rules) }, onServer };
  },
});

function lastJson(text: string): Json {
  return JSON.parse(text.trim().split('\n').at(-1) ?? '') as Json;
}

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
    const devices = new Clients(t, home.device, gatewayLan, mirror, 3, 6000);
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

const [phoneAudio, serverAudio] = [6100, 7100];

claim(
  'P7.6: a telephone calls the SIP server out there by UDP 5060 of the gateway, and both hear all that the other says',
  async (t, { home, folder, onServer }) => {
    const service = (name: string, number: number) =>
      `[[service]]\nname = "${name}"\nat = "lan:${number}"\nto = "${terminal}:${number}"\nlabels = ["demo"]\n`;
    const file = join(folder, 'sip.toml');
    writeFileSync(file, service('sip', 5060) + service('rtp', serverAudio));
    await onServer('service', 'apply', file);
    const audio = ['--on', `${server}:${phoneAudio}`, '--from', terminal];
    t.like(await onServer('publish', mediatorName, 'udp', `${device}:${phoneAudio}`, ...audio), {
      state: 'applied',
    });
    const applied = async () => JSON.stringify(await onServer('service', 'list')).match(/"applied"/g)?.length;
    await until(async () => (await applied()) === 3, {
      what: 'the services to be applied',
      deadlineMs: 30_000,
    });
    const taps = [await tapAudio(t, home.device, 'eth0'), await tapAudio(t, home.terminal, 'eth0')] as const;
    const ended = await sipCall(t, folder, {
      from: {
        where: home.device,
        address: device,
        sipPort: 5060,
        audioPort: phoneAudio,
        audioAddress: server,
      },
      to: {
        where: home.terminal,
        address: terminal,
        sipPort: 5060,
        audioPort: serverAudio,
        audioAddress: gatewayLan,
      },
      via: `${gatewayLan}:5060`,
      seconds: 2,
    });
    t.deepEqual(ended, [0, 0]);
    const [atPhone, atServer] = [await taps[0](), await taps[1]()];
    const pairs = [
      [
        atPhone.find(({ from }) => from === `${device}:${phoneAudio}`),
        atServer.find(({ to }) => to === `${terminal}:${serverAudio}`),
      ],
      [
        atServer.find(({ from }) => from === `${terminal}:${serverAudio}`),
        atPhone.find(({ to }) => to === `${device}:${phoneAudio}`),
      ],
    ];
    for (const [said, heard] of pairs) {
      t.true(said !== undefined && said.packets > 50, JSON.stringify([atPhone, atServer]));
      t.like(heard, { packets: said?.packets ?? 0, missing: [], audio: said?.audio ?? '' });
    }
    for (const name of ['sip', 'rtp']) await onServer('service', 'remove', name);
  },
);

/** Published while the server runs. */
const [webPort, halvesPort, resetsPort, briefPort] = [8080, 8081, 8082, 8083];

function publishing(to: string, port: number, ...more: string[]): string[] {
  return ['publish', mediatorName, 'tcp', to, '--on', `${server}:${port}`, '--from', terminal, ...more];
}

claim(
  'P7.6: TCP is published without a restart: curl out there gets a page of the LAN, with a line each in the audit',
  async (t, { home, onServer, site }) => {
    const since = async () => lastJson((await site.terminal('mediators', '--json')).stdout);
    const before = await since();
    const made = await onServer(...publishing(`${device}:80`, webPort, '--for', '1h'));
    t.like(made, { state: 'applied', protocol: 'tcp', declaredBy: 'cli' });
    for (let count = 0; count < 2; count++)
      t.is((await curl(home.terminal, `http://${server}:${webPort}/`)).body, devicePage);
    const stranger = await curl(home.carrier, '--interface', '203.0.113.2', `http://${server}:${webPort}/`);
    t.not(stranger.code, 0);
    const state = join(site.directory, 'server');
    const search = cliCommand('audit', 'search', '--action', 'published-client', '--state', state);
    const lines = jsonLines(await home.server.run(search)).filter(({ protocol }) => protocol === 'tcp');
    t.deepEqual(
      lines.map(({ on, to, client }) => [on, to, String(client).split(' ')[0]]),
      [1, 2].map(() => [`${server}:${webPort}`, `${device}:80`, terminal]),
    );
    t.like(await onServer('publish', 'remove', String(made.id)), { removed: true });
    t.is((await curl(home.terminal, `http://${server}:${webPort}/`)).code, 7);
    t.deepEqual((await since()).mediators, before.mediators);
  },
);

claim(
  'P7.6: half-close and RST of published TCP are kept both ways (P3.5, P3.6)',
  async (t, { home, onServer }) => {
    await tcpService(t, home.device, device, 9001, ['drain', 'send=100000', 'fin']);
    await onServer(...publishing(`${device}:9001`, halvesPort));
    const halves = tcpPeer(t, home.terminal, ['connect', server, halvesPort, 'send=200000', 'fin', 'drain']);
    await untilSaid(halves, { saw: 'fin', bytes: 100_000, intact: true });
    const service = await tcpService(t, home.device, device, 9002, ['read=10', 'send=20', 'drain']);
    await onServer(...publishing(`${device}:9002`, resetsPort));
    tcpPeer(t, home.terminal, ['connect', server, resetsPort, 'send=10', 'read=20', 'rst']);
    await untilSaid(service, { saw: 'ECONNRESET', bytes: 10 });
    await tcpService(t, home.device, device, 9003, ['read=10', 'send=20', 'rst']);
    await onServer(...publishing(`${device}:9003`, 8084));
    const reset = tcpPeer(t, home.terminal, ['connect', server, 8084, 'send=10', 'drain']);
    await untilSaid(reset, { saw: 'ECONNRESET', bytes: 20, intact: true });
    t.pass();
  },
);

claim(
  'P7.6: what is published for a while ends by itself, and resets who is still there',
  async (t, { home, onServer }) => {
    await tcpService(t, home.device, device, 9004, ['read=1', 'drain']);
    const made = await onServer(...publishing(`${device}:9004`, briefPort, '--for', '3s'));
    t.is(typeof made.expires, 'string');
    const client = tcpPeer(t, home.terminal, ['connect', server, briefPort, 'send=1', 'drain']);
    await untilSaid(client, { saw: 'ECONNRESET' });
    t.is((await curl(home.terminal, `http://${server}:${briefPort}/`)).code, 7);
  },
);

const page = `http://${gatewayLan}:8000/`;

claim(
  'P7.6, S5: devices reach a plain web server out there by a port of mediators with a label, then of those that want it',
  async (t, { home, onServer, folder, running }) => {
    const file = join(folder, 'services.toml');
    const service = `[[service]]\nname = "web"\nprotocol = "tcp"\nat = "lan:8000"\nto = "${terminal}:80"\n`;
    writeFileSync(file, `${service}labels = ["demo"]\n`);
    t.like(await onServer('service', 'diff', file), { 0: { name: 'web', change: 'added' } });
    await onServer('service', 'apply', file);
    await untilServed(home.device, running.server);
    writeFileSync(file, `${service}wanted = true\n`);
    t.like(await onServer('service', 'apply', file), { 0: { name: 'web', change: 'changed' } });
    await untilServed(home.device, running.server);
    const all = (await onServer('service', 'list')) as unknown as Json[];
    t.like(
      all.find(({ name }) => name === 'web'),
      { mediators: [{ mediator: mediatorName, state: 'applied' }] },
    );
    t.like(await onServer('service', 'diff', file), { length: 0 });
  },
);

/** Waits until a device gets the page by the standing service: within what a restart may take. */
async function untilServed(where: Namespace, program: Program): Promise<void> {
  await until(async () => (await curl(where, '--max-time', '2', page)).body === devicePage, {
    what: 'a device to get the page',
    deadlineMs: 10_000,
    intervalMs: 200,
    explain: () => program.stderr.slice(-3000),
  });
}

claim(
  'P7.6: after a kill of the server, and of the mediator, what is declared stands again within 10 s',
  async (t, { home, onServer, running, site }) => {
    const made = await onServer(...publishing(`${device}:80`, webPort));
    const left = tcpPeer(t, home.device, ['connect', gatewayLan, 8000, 'drain']);
    await untilSaid(left, { did: 'connect' });
    running.server.kill('SIGKILL');
    running.server = site.startServer();
    await home.server.untilListening('tcp', servicePort);
    await untilServed(home.device, running.server);
    // Not left hanging on a process that is no more.
    await untilSaid(left, { saw: 'ECONNRESET' });
    t.is((await curl(home.terminal, `http://${server}:${webPort}/`)).body, devicePage);
    site.mediator.kill('SIGKILL');
    const again = site.startMediator();
    t.teardown(() => again);
    await untilServed(home.device, running.server);
    t.is((await curl(home.terminal, `http://${server}:${webPort}/`)).body, devicePage);
    await onServer('publish', 'remove', String(made.id));
    await onServer('service', 'remove', 'web');
    await until(async () => (await curl(home.device, page)).code === 7, {
      what: 'the mediator to refuse who connects there',
      deadlineMs: 10_000,
    });
  },
);
