import { join } from 'node:path';
import { type Program, until } from 'netns-test-helpers';
import { devicePage, startWebServer } from '../demo/device.ts';
import { mediatorName, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { endByReset, servesAgain, startConnection } from './support/connection.ts';
import { setStage } from './support/stage.ts';
import { curl, startVerb, untilForwards, untilJson } from './support/verbs.ts';

/**
 * What becomes of running connections when a link is lost and the mediator holds nothing: each ends as RESET link-lost at
 * both ends, never as a FIN (P3.6, P4.6), and a forward comes back by itself. With a hold: resume.test.ts.
 */

const { device } = homeAddresses;

interface Programs {
  /** The server and the mediator of now: the tests replace them. */
  readonly now: { server: Program; mediator: Program };
}

const claim = setStage<Programs>({
  name: 'scloss',
  home: { ports: 'fully-random' },
  site: () => ({ mediatorConfig: 'maxHoldMs = 0' }),
  peers: async (home, folder) => startWebServer(home.device, join(folder, 'nginx')),
  share: async ({ site: { server, mediator } }) => ({ now: { server, mediator } }),
});

claim('a server that is killed: both ends see RST, and the forward comes back (P4.6)', async (t, stage) => {
  const ends = await startConnection(t, stage);
  stage.now.server.kill('SIGKILL');
  await stage.now.server.exited;
  await endByReset(t, [ends.client, ends.device], 10_000);
  stage.now.server = stage.site.startServer();
  await stage.home.server.untilListening('tcp', servicePort);
  await servesAgain(t, stage, ends);
});

claim('a NAT that forgets: both ends see RST, and the forward comes back (P3.6)', async (t, stage) => {
  const ends = await startConnection(t, stage);
  await stage.home.gateway.flushConntrack();
  await stage.home.carrier.flushConntrack();
  await endByReset(t, [ends.client, ends.device], 20_000);
  await servesAgain(t, stage, ends);
});

claim(
  'a WAN that goes down: both ends see RST while it is down, and the forward comes back (P8.1)',
  async (t, stage) => {
    const ends = await startConnection(t, stage);
    const wan = stage.home.gateway.interfaces.find(({ name }) => name === 'wan');
    if (wan === undefined) return t.fail('no wan');
    await wan.down();
    const start = Date.now();
    await endByReset(t, [ends.client, ends.device], 30_000);
    t.log(`seen at both ends after ${Date.now() - start} ms`);
    await wan.up();
    await servesAgain(t, stage, ends);
  },
);

claim(
  'a mediator that goes offline is waited for, since when is said, and its return is used',
  async (t, stage) => {
    const { now, site } = stage;
    t.is((await now.mediator.stop('SIGTERM', 3_000)).code, 0);
    const forward = startVerb(t, stage, ['forward', mediatorName, `0:${device}:80`]);
    const told = await untilJson(forward, 'that it waits', line => line.state === 'waiting');
    t.regex(String(told.status), /^waiting: home-1 offline since \d{4}-\d\d-\d\dT/);
    now.mediator = site.startMediator();
    const [port = 0] = await untilForwards(forward, 1);
    t.is((await curl(stage.home.terminal, `http://127.0.0.1:${port}/`)).body, devicePage);
  },
);

claim('a mediator that is killed: both ends see RST, and the forward comes back (P3.6)', async (t, stage) => {
  const ends = await startConnection(t, stage);
  stage.now.mediator.kill('SIGKILL');
  await stage.now.mediator.exited;
  await endByReset(t, [ends.client, ends.device], 10_000);
  stage.now.mediator = stage.site.startMediator();
  await servesAgain(t, stage, ends);
});

claim('a forward that is killed: both ends see RST (P3.6)', async (t, stage) => {
  const ends = await startConnection(t, stage);
  ends.forward.kill('SIGKILL');
  await endByReset(t, [ends.client, ends.device], 10_000);
});

claim('a second process with the key of a mediator takes its place (P4.1)', async (t, stage) => {
  const ends = await startConnection(t, stage);
  const first = stage.now.mediator;
  stage.now.mediator = stage.site.startMediator();
  await endByReset(t, [ends.client, ends.device], 10_000);
  await until(() => first.stderr.includes('displaced'), { what: 'the first to be told' });
  await first.stop();
  await servesAgain(t, stage, ends);
});
