import { type Program, until } from 'netns-test-helpers';
import { startEcho } from '../demo/device.ts';
import { servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { goesOn } from './support/goes-on.ts';
import { flawsOfLoad, type Load, startLoad } from './support/load.ts';
import { startNameServer, withNameServer } from './support/peers.ts';
import { RedirectedFlow } from './support/redirected-flow.ts';
import { type Stage, setStage } from './support/stage.ts';

/**
 * A server that has a name, and by it an IPv6 and an IPv4 address: one family that leads nowhere, names that are not
 * resolved, a name that leads elsewhere. The load is one for all of this file.
 */

const serverName = 'server.entremise.test';
const { gatewayLan, server, serverIpv6 } = homeAddresses;
/** Where the server is found when it has moved. */
const moved = '203.0.113.10';

interface Named {
  readonly now: { load: Load; names: Program };
}

let firstNames: Program | undefined;

const claim = setStage<Named>({
  name: 'scname',
  home: { ipv6: true, unsolicited: 'reject' },
  site: folder => ({
    listen: `[::]:${servicePort}`,
    mediatorConfig: `servers = ["${serverName}:${servicePort}"]`,
    mediatorWrapper: withNameServer(folder, gatewayLan),
  }),
  peers: async home => {
    firstNames = await names(home.gateway, server, serverIpv6);
  },
  share: async stage => {
    if (firstNames === undefined) throw new Error('nobody knows names');
    return { now: { names: firstNames, load: await startLoad({ teardown() {} }, stage) } };
  },
});

function names(where: Stage['home']['gateway'], ...addresses: readonly string[]): Promise<Program> {
  return startNameServer(
    where,
    gatewayLan,
    addresses.map(address => [serverName, address] as const),
  );
}

/** Where the link of the mediator goes now. */
async function serverOf({ home }: Stage): Promise<string> {
  const filter = ['state', 'established', 'dport', '=', `:${servicePort}`];
  const { stdout } = await home.gateway.exec(['ss', '-Htn', ...filter]);
  return stdout.trim().split(/\s+/).at(-1) ?? '';
}

function cutIpv6({ home }: Stage): Promise<unknown> {
  return home.carrier.ip(`route replace blackhole ${serverIpv6}/128`);
}

claim(
  'a mediator whose server has both families uses the first that its resolver names',
  async (t, stage) => {
    t.true((await serverOf(stage)).includes(serverIpv6));
  },
);

claim(
  'F32: IPv6 that swallows everything mid-run: all goes on by IPv4, a redirected port of an IPv6 address as well (P7)',
  async (t, stage) => {
    const { home, site } = stage;
    await startEcho(home.device, {}, '::');
    const channels = () => site.mediator.stderr.match(/"observed".*"UDP channel up"/g) ?? [];
    t.regex(channels().at(-1) ?? '', /2001:db8:113::2/);
    const where = { from: homeAddresses.gatewayLanIpv6, to: homeAddresses.deviceIpv6 };
    const flow = await RedirectedFlow.start(t, stage, where);
    await flow.untilAnswered(20);
    await goesOn(t, stage, () => cutIpv6(stage));
    t.true((await serverOf(stage)).includes(server));
    await until(() => /203\.0\.113\.2/.test(channels().at(-1) ?? ''), {
      what: 'a UDP channel over IPv4',
      deadlineMs: 30_000,
    });
    await until(() => flow.changes.at(-1) !== 'tcp', { what: 'the flow to be on UDP', deadlineMs: 30_000 });
    await flow.untilAnswered(20);
    t.is(flow.counts.disordered, 0);
  },
);

claim('F32: IPv6 that swallows everything when a link is made: IPv4 carries it', async (t, stage) => {
  await goesOn(t, stage, () => stage.home.gateway.killConnections([servicePort]));
  t.true((await serverOf(stage)).includes(server));
});

claim('F33: names that nobody resolves: the address that was good before is used', async (t, stage) => {
  await stage.now.names.stop('SIGKILL');
  await goesOn(t, stage, () => stage.home.gateway.killConnections([servicePort]));
  t.true((await serverOf(stage)).includes(server));
});

claim('F33: a server that has moved is found by its name', async (t, stage) => {
  const { home, now } = stage;
  await home.server.ip(`address add ${moved}/24 dev eth0`);
  now.names = await names(home.gateway, moved);
  await goesOn(t, stage, async () => {
    await home.carrier.ip(`route replace blackhole ${server}/32`);
    await home.gateway.killConnections([servicePort]);
    await until(async () => (await serverOf(stage)).includes(moved), { what: 'the new address to be used' });
  });
});

claim('F2: a NAT that forgets and answers the server by RST: all goes on', async (t, stage) => {
  await goesOn(t, stage, () => stage.home.carrier.flushConntrack());
});

claim(
  'after all this every byte has come once and in order, and every command has run once',
  async (t, stage) => {
    t.deepEqual(flawsOfLoad(await stage.now.load.stop()), []);
  },
);
