import { join } from 'node:path';
import { devicePage, startWebServer } from '../demo/device.ts';
import { mediatorName } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { makeRandomFile, sha256, startNameServer, withNameServer } from './support/peers.ts';
import { setStage } from './support/stage.ts';
import { curl, failureOf, startForward, startVerb, untilForwards } from './support/verbs.ts';

/** `entremise forward`, with the real curl at one end and a real nginx at the other, two NATs between. */

const { device, deviceIpv6 } = homeAddresses;
const deviceName = 'printer.home.example';
const bulkBytes = 50 * 1024 * 1024;

const claim = setStage({
  name: 'scforward',
  peers: async (home, folder) => {
    await startWebServer(home.device, join(folder, 'nginx'));
    await startNameServer(home.device, device, { [deviceName]: device });
  },
  site: folder => ({ mediatorWrapper: withNameServer(folder, device) }),
});

claim('curl gets the page of a device that has no way in from outside', async (t, stage) => {
  const { home } = stage;
  const direct = await curl(home.terminal, '--max-time', '1', `http://${device}/`);
  t.not(direct.code, 0, 'the NATs let a stranger in: this test proves nothing');
  const { ports } = await startForward(t, stage, `${device}:80`);
  const page = await curl(home.terminal, `http://127.0.0.1:${ports[0]}/`);
  t.deepEqual(page, { code: 0, body: devicePage, stderr: '' });
});

claim('a target may be an IPv6 address, or a name that the mediator resolves (P6.8)', async (t, stage) => {
  const { home } = stage;
  const { ports } = await startForward(t, stage, `[${deviceIpv6}]:80`, `${deviceName}:80`);
  for (const port of ports) t.is((await curl(home.terminal, `http://127.0.0.1:${port}/`)).body, devicePage);
});

claim('a local IPv6 address can be bound, for everybody who reaches it', async (t, stage) => {
  const { home } = stage;
  const program = startVerb(t, stage, ['forward', mediatorName, `[::1]:0:${device}:80`]);
  const [port] = await untilForwards(program, 1);
  t.is((await curl(home.terminal, `http://[::1]:${port}/`)).body, devicePage);
});

claim('50 MB come down whole', async (t, stage) => {
  const { home, folder } = stage;
  const file = join(folder, 'nginx', 'www', 'bulk');
  makeRandomFile(file, bulkBytes);
  const { ports } = await startForward(t, stage, `${device}:80`);
  const copy = join(folder, 'downloaded');
  const got = await curl(home.terminal, '-o', copy, `http://127.0.0.1:${ports[0]}/bulk`);
  t.is(got.code, 0, got.stderr);
  t.is(await sha256(copy), await sha256(file));
});

claim('50 MB go up whole', async (t, stage) => {
  const { home, folder } = stage;
  const file = join(folder, 'to-upload');
  makeRandomFile(file, bulkBytes);
  const { ports } = await startForward(t, stage, `${device}:80`);
  const put = await curl(home.terminal, '-f', '-T', file, `http://127.0.0.1:${ports[0]}/upload/bulk`);
  t.is(put.code, 0, put.stderr);
  t.is(await sha256(join(folder, 'nginx', 'www', 'upload', 'bulk')), await sha256(file));
});

claim('twenty curls at once each get what they asked for', async (t, stage) => {
  const { home, folder } = stage;
  const numbers = Array.from({ length: 20 }, (_, index) => index);
  const source = (index: number) => join(folder, 'nginx', 'www', `page-${index}`);
  for (const index of numbers) makeRandomFile(source(index), 256 * 1024 + index);
  const { ports } = await startForward(t, stage, `${device}:80`);
  const fetched = numbers.map(async index => {
    const copy = join(folder, `copy-${index}`);
    const got = await curl(home.terminal, '-o', copy, `http://127.0.0.1:${ports[0]}/page-${index}`);
    t.is(got.code, 0, got.stderr);
    t.is(await sha256(copy), await sha256(source(index)), `page ${index}`);
  });
  await Promise.all(fetched);
});

claim(
  'SIGINT and SIGTERM end a forward cleanly: exit code 0 within 2 s, its ports closed',
  async (t, stage) => {
    const { home } = stage;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const { program, ports } = await startForward(t, stage, `${device}:80`);
      t.is((await curl(home.terminal, `http://127.0.0.1:${ports[0]}/`)).code, 0);
      t.deepEqual(await program.stop(signal, 2_000), { code: 0, signal: null });
      t.is((await curl(home.terminal, `http://127.0.0.1:${ports[0]}/`)).code, 7, 'curl: cannot connect');
    }
  },
);

claim('a local number that is taken is told with the number', async (t, stage) => {
  const { ports } = await startForward(t, stage, `${device}:80`);
  const second = await stage.site.terminal('forward', mediatorName, `${ports[0]}:${device}:80`, '--json');
  t.not(second.code, 0);
  t.regex(failureOf(second.stderr)?.message ?? second.stderr, new RegExp(`${ports[0]}`));
});
