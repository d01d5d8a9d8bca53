import { join } from 'node:path';
import { blockUdp, egressOnlyTcp, type Program } from 'netns-test-helpers';
import { cliCommand } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { flawsOfLoad, startLoad } from './support/load.ts';
import { proxyPort, proxyUrl, startProxy } from './support/proxy-server.ts';
import { setStage } from './support/stage.ts';
import { failureOf } from './support/verbs.ts';

/**
 * Networks that force a proxy on everybody (RFC 9110 §9.3.6): the home's carrier and the technician's office each let out
 * nothing but TCP to a real tinyproxy, which wants a name and a password. Enrolment, links and streams go through it.
 */

const carrierInside = '100.64.0.1';

interface Proxies {
  /** The one that the home must use: a test replaces it. */
  readonly now: { proxy: Program };
}

let ofHome: Program | undefined;

const claim = setStage<Proxies>({
  name: 'scproxy',
  peers: async (home, folder) => {
    await home.gateway.apply(egressOnlyTcp([proxyPort], { outside: 'wan' }));
    await home.gateway.apply(blockUdp({ outside: 'wan' }));
    await home.terminal.apply(egressOnlyTcp([proxyPort], { outside: 'eth0', how: 'reject' }));
    ofHome = await startProxy(home.carrier, carrierInside, join(folder, 'carrier'));
    await startProxy(home.server, homeAddresses.server, join(folder, 'office'));
  },
  site: () => ({
    mediatorEnv: { ENTREMISE_PROXY: proxyUrl(carrierInside) },
    terminalEnv: { ENTREMISE_PROXY: proxyUrl(homeAddresses.server) },
  }),
  share: async () => {
    if (ofHome === undefined) throw new Error('the proxy was not started');
    return { now: { proxy: ofHome } };
  },
});

claim('where only a proxy is let out, everything goes through it, and outlives its end', async (t, stage) => {
  const load = await startLoad(t, stage);
  await stage.now.proxy.stop('SIGKILL');
  stage.now.proxy = await startProxy(stage.home.carrier, carrierInside, join(stage.folder, 'carrier'));
  t.log(`all streams move ${Math.round(await load.untilMoving(30_000))} ms after the proxy is back`);
  t.deepEqual(flawsOfLoad(await load.stop()), []);
  t.regex(stage.now.proxy.stdout, new RegExp(`CONNECT ${homeAddresses.server}:\\d+`));
});

claim(
  'who tells a proxy the wrong password is told that it is the proxy that refuses',
  async (t, { home, site }) => {
    const env = { ...site.terminalEnv, ENTREMISE_PROXY: proxyUrl(homeAddresses.server, 'wrong') };
    const { stderr } = await home.terminal.exec(cliCommand('doctor', '--json'), { env });
    t.like(failureOf(stderr), { code: 'server-unreachable' });
    t.regex(failureOf(stderr)?.message ?? '', /The proxy .* wants a name and a password/);
  },
);
