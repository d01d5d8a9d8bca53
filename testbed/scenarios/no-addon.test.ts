import { join } from 'node:path';
import process from 'node:process';
import { blockUdp } from 'netns-test-helpers';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { mediatorBundle, mediatorName, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { Clients, startFeatures, startMirror } from './support/plain-udp.ts';
import { setStage } from './support/stage.ts';
import { profileFolder } from './support/technicians.ts';
import { curl, jsonLines, startExpose, startForward, untilJson } from './support/verbs.ts';

/** Mediator, server and terminal whose native addon is not where it should be. */

const { device, gatewayLan, server, terminal } = homeAddresses;
const [published, standing] = [7007, 5060];
const env = { ENTREMISE_ADDON: '/nowhere/entremise.node' };

const rules = `
[[publish]]
mediator = "${mediatorName}"
on = "${server}:${published}"
to = "${device}:${published}"
from = ["${terminal}"]

[[service]]
name = "plain"
mediator = "${mediatorName}"
at = "${gatewayLan}:${standing}"
to = "${terminal}:${standing}"
`;

const many = ['lan', 'multicast', 'broadcast'];
const quoted = JSON.stringify(many);

const claim = setStage({
  name: 'scnoaddon',
  site: () => ({
    mediatorEnv: env,
    serverEnv: env,
    terminalEnv: env,
    mediatorConfig: `[owner.targets]\nnetworks = ${quoted}\n[owner.ports]\naddresses = ${quoted}`,
    grant: many.flatMap(word => ['--target', word, '--listen-on', word]),
  }),
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    await startEcho(home.device);
    await startMirror(home.device, device, published);
    await startMirror(home.terminal, terminal, standing);
  },
  share: async ({ site }) => ({ now: await startFeatures(site, rules) }),
});

claim(
  'issue 4: a page of the home is fetched through a forward, without an addon anywhere',
  async (t, stage) => {
    const { ports } = await startForward(t, stage, `${device}:80`);
    const { code, body, stderr } = await curl(stage.home.terminal, `http://127.0.0.1:${ports[0]}/`);
    t.is(code, 0, stderr);
    t.is(body, devicePage);
  },
);

claim('issue 4: a UDP port is redirected, and its datagrams come back over UDP', async (t, stage) => {
  const { program, ports } = await startForward(t, stage, `${device}:7/udp`);
  const ask = [
    'python3',
    programPath('udp-ask.py'),
    '127.0.0.1',
    String(ports[0]),
    '1',
    '512',
    '1400',
    '9000',
  ];
  const asked = await stage.home.terminal.exec(ask);
  t.is(asked.code, 0, asked.stdout);
  await untilJson(program, 'udp', line => line.channel === 'udp');
});

claim('issue 4: a device reaches a service of the terminal', async (t, stage) => {
  const { home, folder } = stage;
  await startWebServer(home.terminal, join(folder, 'terminal-nginx'));
  await startExpose(t, stage, '8000', '127.0.0.1:80');
  const { body, stderr } = await curl(home.device, `http://${gatewayLan}:8000/`);
  t.is(body, devicePage, stderr);
});

claim('issue 4: log, status, mediators --json and doctor say that the addon is missing', async (t, stage) => {
  const { site, home } = stage;
  t.regex(site.mediator.stderr, /the native addon is at none of \/nowhere\/entremise\.node/);
  const config = join(site.directory, 'mediator.toml');
  const status = await home.gateway.exec([
    process.execPath,
    mediatorBundle,
    'status',
    '--config',
    config,
    '--json',
  ]);
  t.regex(String(jsonLines(status.stdout)[0]?.addonProblem), /\/nowhere\/entremise\.node/);
  const listed = await site.terminal('mediators', '--json');
  const [mediator] = JSON.parse(listed.stdout) as { name: string; report: { events: unknown } }[];
  t.is(mediator?.name, mediatorName);
  t.like(mediator?.report.events, { from: 'socket' });
  t.regex(JSON.stringify(mediator?.report.events), /native addon is missing/);
  const doctor = await site.terminal('doctor');
  t.is(doctor.code, 0, doctor.stdout + doctor.stderr);
  t.regex(doctor.stdout, /addon +missing here/);
  t.regex(doctor.stdout, /from sockets alone.*native addon is missing/);
});

claim(
  'P7.6: clients reach a LAN’s service by a port of the server, devices a plain server out there, over UDP and without it',
  async (t, { home }) => {
    const clients = new Clients(t, home.terminal, server, published, 2);
    const devices = new Clients(t, home.device, gatewayLan, standing, 2, 6000);
    const ask = () => Promise.all([clients.ask(60_000), devices.ask(60_000)]);
    const first = await ask();
    const hosts = first.map(each => new Set(each.map(seen => seen.split(' ')[0])));
    t.deepEqual(hosts, [new Set([gatewayLan]), new Set([server])]);
    t.deepEqual(
      first.map(each => new Set(each).size),
      [2, 2],
      'each from a number of its own',
    );
    const udp = await home.carrier.apply(blockUdp({ how: 'drop', ports: [servicePort], outside: 'net' }));
    t.teardown(() => udp.remove());
    t.deepEqual(await ask(), first);
  },
);

claim(
  'P5.1: a port of a group, and one of a broadcast address, hears what devices send there',
  async (t, stage) => {
    const { home, site } = stage;
    const directory = profileFolder(site.terminalEnv);
    for (const [address, number] of [
      ['239.255.77.77', 4000],
      ['192.168.1.255', 4001],
    ] as const) {
      const argument = [directory, mediatorName, 'udp', address, String(number), '', '0', ''];
      const argv = [process.execPath, programPath('sdk-groups.mjs'), ...argument];
      const port = home.terminal.spawn(argv, { stdin: 'pipe', env: site.terminalEnv });
      t.teardown(() => port.stop('SIGKILL'));
      await untilJson(port, 'that it listens', line => 'listening' in line);
      const script = `const socket = require('node:dgram').createSocket('udp4');
      socket.bind(0, '${device}', () => { socket.setBroadcast(true);
        setInterval(() => socket.send('here I am', ${number}, '${address}'), 200); });`;
      const shouting = home.device.spawn([process.execPath, '-e', script]);
      t.teardown(() => shouting.stop('SIGKILL'));
      const heard = await untilJson(port, 'what the device says', line => line.from === device);
      t.is(heard.text, 'here I am');
    }
  },
);
