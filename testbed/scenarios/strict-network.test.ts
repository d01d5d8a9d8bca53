import { join } from 'node:path';
import { blockUdp, egressOnlyTcp } from 'netns-test-helpers';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { programPath } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { curl, startExpose, startForward } from './support/verbs.ts';

/**
 * Everything through the strictest network there is: both NATs choose ports at random, nothing but TCP to the service
 * port leaves the gateway, UDP is blocked wherever it would cross the boundary, and the terminal sits behind such a
 * firewall, too.
 */

const { device, gatewayLan } = homeAddresses;

const claim = setStage({
  name: 'scstrict',
  home: { ports: 'fully-random' },
  peers: async (home, folder) => {
    await home.gateway.apply(egressOnlyTcp([servicePort], { outside: 'wan' }));
    await home.gateway.apply(blockUdp({ outside: 'wan' }));
    await home.carrier.apply(blockUdp());
    await home.terminal.apply(egressOnlyTcp([servicePort], { how: 'reject', outside: 'eth0' }));
    await startWebServer(home.device, join(folder, 'nginx'));
    await startWebServer(home.terminal, join(folder, 'nginx-terminal'));
    await startEcho(home.device);
  },
});

claim(
  'S3, S14: with random NATs and only TCP to the service port let out, forwards work, UDP too',
  async (t, stage) => {
    const { home } = stage;
    const { ports } = await startForward(t, stage, `${device}:80`, `${device}:7/udp`);
    t.is((await curl(home.terminal, `http://127.0.0.1:${ports[0]}/`)).body, devicePage);
    const ask = [programPath('udp-ask.py'), '127.0.0.1', String(ports[1]), '1', '1400', '65507'];
    const { code, stdout } = await home.terminal.exec(['python3', ...ask]);
    t.is(code, 0, stdout);
  },
);

claim(
  'S3, S10: with random NATs and only TCP to the service port let out, expose works',
  async (t, stage) => {
    await startExpose(t, stage, '8000', '127.0.0.1:80');
    t.is((await curl(stage.home.device, `http://${gatewayLan}:8000/`)).body, devicePage);
  },
);

claim('the NATs choose other ports than the mediator did: this network is what it says', async (t, stage) => {
  const entries = await stage.home.carrier.conntrackTable();
  const toServer = entries.filter(({ original }) => original.destinationPort === servicePort);
  t.true(toServer.length > 0);
  t.true(toServer.some(({ original, reply }) => original.sourcePort !== reply.destinationPort));
  const direct = await curl(stage.home.gateway, '--max-time', '1', `http://${homeAddresses.terminal}/`);
  t.is(direct.code, 28, 'curl: timed out');
});
