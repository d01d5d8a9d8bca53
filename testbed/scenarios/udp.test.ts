import { join } from 'node:path';
import process from 'node:process';
import { devicePage, startEcho, startWebServer } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { makeRandomFile, programPath, sha256, startNameServer } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { curl, type Json, jsonLines, startForward } from './support/verbs.ts';

/** Datagrams, by the CLI and by the SDK, and the SDK below Node's own http. */

const { device, gatewayLan } = homeAddresses;
const sizes = [0, 1, 512, 1472, 1473, 9000, 40_000, 65_507];

const claim = setStage({
  name: 'scudp',
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    await startNameServer(home.device, device, { 'tv.home.example': '192.168.1.77' });
    await startEcho(home.device);
  },
  share: async ({ site, home }) => {
    const directory = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
    /** Runs a program on the SDK, as the technician's terminal. */
    const sdk = (name: string, ...words: readonly string[]) =>
      home.terminal.exec([process.execPath, programPath(name), directory, mediatorName, ...words]);
    return { sdk };
  },
});

claim('a real resolver asks a real dnsmasq of the LAN through a forward (S13)', async (t, stage) => {
  const { ports } = await startForward(t, stage, `${device}:53/udp`);
  const script = `const { Resolver } = require('node:dns').promises;
    const resolver = new Resolver({ timeout: 3000, tries: 3 });
    resolver.setServers(['127.0.0.1:${ports[0]}']);
    resolver.resolve4('tv.home.example').then(found => console.log(found.join()));`;
  t.is((await stage.home.terminal.run([process.execPath, '-e', script])).trim(), '192.168.1.77');
});

claim(
  'datagrams of 0 to 65,507 bytes come back through a forward as they were sent (S13)',
  async (t, stage) => {
    const { ports } = await startForward(t, stage, `${device}:7/udp`);
    const ask = ['python3', programPath('udp-ask.py'), '127.0.0.1', String(ports[0]), ...sizes.map(String)];
    const { code, stdout } = await stage.home.terminal.exec(ask);
    t.is(code, 0, stdout);
  },
);

claim('the same by the SDK, with the peer told; a byte more is EMSGSIZE (S13)', async (t, stage) => {
  const { code, stdout, stderr } = await stage.sdk(
    'sdk-udp.mjs',
    gatewayLan,
    device,
    '7',
    ...sizes.map(String),
  );
  t.deepEqual([code, stderr], [0, '']);
  const expected: Json[] = sizes.map(size => ({ size, back: true, from: device, port: 7 }));
  t.deepEqual(jsonLines(stdout), [...expected, { size: 65_508, code: 'EMSGSIZE' }]);
});

claim(
  'datagrams pass beside a bulk stream, which they do not stop and which does not stop them',
  async (t, stage) => {
    const { home, folder } = stage;
    makeRandomFile(join(folder, 'nginx', 'www', 'bulk'), 60 * 1024 * 1024);
    const { ports } = await startForward(t, stage, `${device}:80`, `${device}:7/udp`);
    const copy = join(folder, 'copy');
    const fetching = curl(home.terminal, '-o', copy, `http://127.0.0.1:${ports[0]}/bulk`);
    const words = ['127.0.0.1', String(ports[1]), ...Array.from({ length: 40 }, () => '1200')];
    const asked = await home.terminal.exec(['python3', programPath('udp-ask.py'), ...words]);
    t.is(asked.code, 0, asked.stdout);
    const fetched = await fetching;
    t.is(fetched.code, 0, fetched.stderr);
    t.is(await sha256(copy), await sha256(join(folder, 'nginx', 'www', 'bulk')));
    const slowest = Math.max(...jsonLines(asked.stdout).map(({ ms }) => Number(ms)));
    t.log(`slowest answer beside the bulk: ${slowest} ms`);
  },
);

claim("Node's own http.request fetches from a real nginx by createConnection", async (t, stage) => {
  const { code, stdout, stderr } = await stage.sdk('sdk-http-client.mjs', `http://${device}/`);
  t.deepEqual([code, stdout, stderr], [0, devicePage, 'status 200\n']);
});
