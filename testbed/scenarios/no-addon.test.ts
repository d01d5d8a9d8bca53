import { join } from 'node:path';
import process from 'node:process';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { mediatorBundle, mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { curl, jsonLines, startExpose, startForward, untilJson } from './support/verbs.ts';

/** Mediator, server and terminal whose native addon is not where it should be. */

const { device, gatewayLan } = homeAddresses;
const env = { ENTREMISE_ADDON: '/nowhere/entremise.node' };

const claim = setStage({
  name: 'scnoaddon',
  site: () => ({ mediatorEnv: env, serverEnv: env, terminalEnv: env }),
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    await startEcho(home.device);
  },
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
