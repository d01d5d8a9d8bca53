import { join } from 'node:path';
import process from 'node:process';
import { devicePage, startWebServer } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { makeRandomFile, programPath, sha256, tcpPeer, tcpService, untilSaid } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { hire } from './support/technicians.ts';
import { curl, failureOf, type Json, jsonLines, startExpose, startVerb, untilJson } from './support/verbs.ts';

/** `entremise expose`, and the SDK's listeners: devices of the LAN reach a service of the terminal. */

const { gatewayLan, device } = homeAddresses;

const claim = setStage({
  name: 'scexpose',
  peers: async (home, folder) => {
    await startWebServer(home.terminal, join(folder, 'nginx'));
    home.terminal.spawn([process.execPath, programPath('udp-echo.mjs'), '127.0.0.1', '7']);
    await home.terminal.untilListening('udp', 7);
  },
});

claim("a device's curl gets the terminal's page at the gateway's LAN address (S10)", async (t, stage) => {
  const { home, folder } = stage;
  makeRandomFile(join(folder, 'nginx', 'www', 'bulk'), 10_000_000);
  const program = await startExpose(t, stage, '8000', '127.0.0.1:80');
  const [told] = jsonLines(program.stdout);
  t.deepEqual(told?.listen, { host: gatewayLan, port: 8000 });
  t.is((await curl(home.device, `http://${gatewayLan}:8000/`)).body, devicePage);
  const copy = join(folder, 'copy');
  const got = await curl(home.device, '-o', copy, `http://${gatewayLan}:8000/bulk`);
  t.is(got.code, 0, got.stderr);
  t.is(await sha256(copy), await sha256(join(folder, 'nginx', 'www', 'bulk')));
});

claim('a UDP service of the terminal answers devices from the address they asked (S10)', async (t, stage) => {
  await startExpose(t, stage, '5007/udp', '127.0.0.1:7');
  const sizes = [0, 1, 1400, 9000, 65_507].map(String);
  const ask = ['python3', programPath('udp-ask.py'), gatewayLan, '5007', ...sizes];
  const { code, stdout } = await stage.home.device.exec(ask);
  t.is(code, 0, stdout);
});

claim('connected tells who came, before fin and rst tell how it ended (S15, S16)', async (t, stage) => {
  const { home } = stage;
  const events = startVerb(t, stage, ['events', mediatorName]);
  await untilJson(events, 'that it follows', line => 'status' in line);
  await startExpose(t, stage, '8001', '127.0.0.1:80');
  await curl(home.device, `http://${gatewayLan}:8001/`);
  const connected = await untilJson(events, 'connected', line => line.kind === 'connected');
  t.like(connected, { direction: 'from-device', peerAddress: device, localAddress: gatewayLan });
  const fin = await untilJson(events, 'a FIN', line => line.kind === 'fin');
  t.deepEqual([fin.port, fin.stream], [connected.port, connected.stream]);
});

claim('half-close and RST are kept both ways (P3.5, P3.6)', async (t, stage) => {
  const { home } = stage;
  const local = '127.0.0.1';
  await tcpService(t, home.terminal, local, 9001, ['drain', 'send=100000', 'fin']);
  await startExpose(t, stage, '8002', `${local}:9001`);
  const halves = tcpPeer(t, home.device, ['connect', gatewayLan, 8002, 'send=200000', 'fin', 'drain']);
  await untilSaid(halves, { saw: 'fin', bytes: 100_000, intact: true });
  const service = await tcpService(t, home.terminal, local, 9002, ['read=10', 'send=20', 'drain']);
  await startExpose(t, stage, '8003', `${local}:9002`);
  tcpPeer(t, home.device, ['connect', gatewayLan, 8003, 'send=10', 'read=20', 'rst']);
  await untilSaid(service, { saw: 'ECONNRESET', bytes: 10 });
  await tcpService(t, home.terminal, local, 9003, ['read=10', 'send=20', 'rst']);
  await startExpose(t, stage, '8004', `${local}:9003`);
  const reset = tcpPeer(t, home.device, ['connect', gatewayLan, 8004, 'send=10', 'drain']);
  await untilSaid(reset, { saw: 'ECONNRESET', bytes: 20, intact: true });
  t.pass();
});

claim('ports shows what other programs of this terminal have open (P5.6)', async (t, stage) => {
  await startExpose(t, stage, '8010', '127.0.0.1:80');
  const { code, stdout } = await stage.site.terminal('ports', mediatorName, '--json');
  t.is(code, 0);
  const open = JSON.parse(stdout) as Json[];
  const wanted = { protocol: 'tcp', address: gatewayLan, number: 8010, state: 'server', streams: 0 };
  t.is(open.filter(({ number }) => number === 8010).length, 1, stdout);
  t.like(
    open.find(({ number }) => number === 8010),
    wanted,
  );
});

claim('a service that is not there resets the device, and the expose says so', async (t, stage) => {
  const program = await startExpose(t, stage, '8005', '127.0.0.1:9');
  const visitor = tcpPeer(t, stage.home.device, ['connect', gatewayLan, 8005, 'drain']);
  await untilSaid(visitor, { saw: 'ECONNRESET', bytes: 0 });
  const said = await untilJson(program, 'who was not served', line => 'refused' in line);
  t.like(said.device, { host: device });
});

claim('a number that is taken is told with the number, and had as soon as it is free', async (t, stage) => {
  const other = await tcpService(t, stage.home.gateway, gatewayLan, 8006, ['drain']);
  const program = startVerb(t, stage, ['expose', mediatorName, '8006', '127.0.0.1:80']);
  const told = await untilJson(program, 'that it is taken', line => 'retrying' in line);
  t.regex(String(told.retrying), /8006.*taken|taken.*8006/);
  await other.stop('SIGKILL');
  await untilJson(program, 'that it listens', line => 'expose' in line);
  t.is((await curl(stage.home.device, `http://${gatewayLan}:8006/`)).body, devicePage);
});

claim(
  'a number below 1024 needs grant and owner: each refusal names the field, exit code 3 (P6.8)',
  async (t, stage) => {
    const { site } = stage;
    const allowed = await hire(stage, 'low', '--listen-tcp', '80');
    const byOwner = await allowed.run('expose', mediatorName, '80', '127.0.0.1:80');
    t.is(byOwner.code, 3, byOwner.stderr);
    t.regex(failureOf(byOwner.stderr)?.message ?? '', /owner\.ports\.tcp/);
    const byGrant = await site.terminal('expose', mediatorName, '80', '127.0.0.1:80', '--json');
    t.is(byGrant.code, 3, byGrant.stderr);
    t.regex(failureOf(byGrant.stderr)?.message ?? '', /grant.*ports\.tcp/);
  },
);

claim('an address that is not of the LAN needs grant and owner, too (P5.1)', async (t, stage) => {
  const { site } = stage;
  const wildcard = await site.terminal('expose', mediatorName, '0.0.0.0:8007', '127.0.0.1:80', '--json');
  t.is(wildcard.code, 3, wildcard.stderr);
  t.regex(failureOf(wildcard.stderr)?.message ?? '', /ports\.addresses/);
});

claim("Node's own http.Server serves devices from a remote listener", async (t, stage) => {
  const { home, site, folder } = stage;
  const directory = join(String(site.terminalEnv.XDG_CONFIG_HOME), 'entremise', 'default');
  const words = [directory, mediatorName, gatewayLan, '8008'];
  const server = home.terminal.node(programPath('sdk-http-server.mjs'), words);
  t.teardown(() => server.stop('SIGKILL'));
  await server.untilOutput(/listens on 192\.168\.1\.1 8008/);
  t.is((await curl(home.device, `http://${gatewayLan}:8008/page`)).body, `/page for ${device}\n`);
  const [file, copy] = [join(folder, 'posted'), join(folder, 'answer')];
  makeRandomFile(file, 5_000_000);
  const posting = ['-o', copy, '--data-binary', `@${file}`, `http://${gatewayLan}:8008/`];
  const posted = await curl(home.device, ...posting);
  t.is(posted.code, 0, posted.stderr);
  t.is(await sha256(copy), await sha256(file));
  t.deepEqual(await server.stop('SIGTERM'), { code: 0, signal: null });
});

claim('an expose that ends frees its number at once', async (t, stage) => {
  for (let times = 0; times < 2; times++) {
    const program = await startExpose(t, stage, '8009', '127.0.0.1:80');
    t.is((await curl(stage.home.device, `http://${gatewayLan}:8009/`)).code, 0);
    t.deepEqual(await program.stop('SIGINT', 2_000), { code: 0, signal: null });
    t.is((await curl(stage.home.device, `http://${gatewayLan}:8009/`)).code, 7, 'curl: cannot connect');
  }
});
