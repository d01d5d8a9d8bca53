import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Namespace, until } from 'netns-test-helpers';
import { mediatorName, serverAddress, servicePort } from '../site.ts';
import { setStage } from './support/stage.ts';
import { type Json, startVerb, untilJson } from './support/verbs.ts';

/** What a mediator reports of its surroundings (S5), as `entremise mediators` shows it. */

/** What netifd would say of this gateway, as the stand-in of ubus says it. */
const netifdPath = new URL(
  '../../../testbed/openwrt/stand-in/usr/share/stand-in/network.json',
  import.meta.url,
);

const claim = setStage({
  name: 'screport',
  site: () => ({
    mediatorConfig: `networkFile = ${JSON.stringify(fileURLToPath(netifdPath))}
[[services]]\nname = "voip"\nparameters = { account = "4711" }`,
  }),
});

interface Reported {
  readonly name: string;
  readonly up: boolean;
  readonly lan: boolean;
  readonly wan: boolean;
  readonly networks?: readonly string[];
  readonly hardwareAddress?: string;
  readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[];
}

function interfacesOf(mediator: Json): readonly Reported[] {
  return (mediator.report as { readonly interfaces: readonly Reported[] }).interfaces;
}

/** Addresses that somebody gave, as text. */
function addressesOf({ addresses }: Reported): string[] {
  return addresses
    .map(({ address, prefixLength }) => `${address}/${prefixLength}`)
    .filter(text => !text.startsWith('fe80'));
}

async function hardwareAddress(where: Namespace, name: string): Promise<string> {
  const shown = await where.run(['ip', '-json', 'link', 'show', 'dev', name]);
  const [link] = JSON.parse(shown) as { address: string }[];
  return link?.address ?? '';
}

claim(
  "mediators shows the gateway's interfaces, routes and itself, and what it wants to use (S5)",
  async (t, stage) => {
    const { site, home } = stage;
    const { stdout } = await site.terminal('mediators', '--json');
    const [mediator] = JSON.parse(stdout) as Json[];
    t.like(mediator, { name: mediatorName, labels: ['demo'], online: true, verified: true });
    const shown = interfacesOf(mediator ?? {});
    const [lan, wan] = ['br-lan', 'wan'].map(wanted => shown.find(({ name }) => name === wanted));
    if (lan === undefined || wan === undefined) return t.fail('br-lan or wan is missing');
    t.deepEqual([lan.lan, lan.up, addressesOf(lan)], [true, true, ['192.168.1.1/24', 'fd00:1::1/64']]);
    t.deepEqual([wan.lan, wan.up, addressesOf(wan)], [false, true, ['100.64.0.2/24']]);
    t.deepEqual([lan.wan, lan.networks, wan.wan, wan.networks], [false, ['lan'], true, ['wan', 'wan6']]);
    t.is(lan.hardwareAddress, await hardwareAddress(home.gateway, 'br-lan'));
    const { report } = mediator as { report: Json };
    const routes = report.routes as Json[];
    t.true(routes.some(route => route.prefixLength === 0 && route.gateway === '100.64.0.1'));
    t.true(routes.some(route => route.destination === '192.168.1.0' && route.interface === 'br-lan'));
    t.is(report.hostname, hostname());
    t.deepEqual(report.prefixes, [{ address: '2001:db8:4711::', prefixLength: 56, network: 'wan6' }]);
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '');
    t.is(report.bootId, bootId);
    t.deepEqual(report.services, [{ name: 'voip', parameters: [{ name: 'account', value: '4711' }] }]);
    t.regex(String(mediator?.observed), /^203\.0\.113\.2:\d+$/, 'it comes from behind both NATs');
  },
);

claim('an address that comes or goes on the gateway is told within 5 s (S5)', async (t, stage) => {
  const { gateway } = stage.home;
  const watching = startVerb(t, stage, ['mediators', '--watch'], { keepBytes: 4 << 20 });
  await watching.untilOutput(/\n/);
  for (const verb of ['add', 'del'] as const) {
    const since = watching.stdout.length;
    await gateway.ip(`address ${verb} 192.168.77.1/24 dev br-lan`);
    const changed = await untilJson(
      watching,
      `that 192.168.77.1 was ${verb}ed`,
      line => watching.stdout.indexOf(JSON.stringify(line)) >= since && told(line) === (verb === 'add'),
      5_000,
    );
    t.is((changed.mediator as Json).name, mediatorName);
  }
});

/** Whether a change shows the address on br-lan, as a LAN's. */
function told({ mediator }: Json): boolean | undefined {
  if (mediator === undefined) return undefined;
  const lan = interfacesOf(mediator as Json).find(({ name }) => name === 'br-lan');
  return lan?.lan === true && addressesOf(lan).includes('192.168.77.1/24');
}

claim('for people, mediators is a table with name, state, addresses and version', async (t, stage) => {
  const { stdout } = await stage.site.terminal('mediators');
  const [head, line] = stdout.split('\n');
  t.regex(head ?? '', /NAME +LABELS +STATE +FROM +RTT +LINK LOST +VERSION +ADDRESSES/);
  t.regex(line ?? '', /^home-1 +demo +online .*203\.0\.113\.2:\d+ .*br-lan 192\.168\.1\.1\/24/);
});

claim(
  'of a link that was cut is told when and why, and where the new one goes (P1.8)',
  async (t, { site, home }) => {
    const pathNow = async (): Promise<Json> => {
      const { stdout } = await site.terminal('mediators', '--wait', mediatorName, '--json');
      const [mediator] = JSON.parse(stdout) as { report?: { path?: Json } }[];
      return mediator?.report?.path ?? {};
    };
    const before = await pathNow();
    t.like(before, { server: serverAddress, lostReason: undefined });
    await home.gateway.killConnections([servicePort]);
    const after = await until(
      async () => {
        const path = await pathNow();
        return path.lostReason === undefined ? undefined : path;
      },
      { what: 'the loss to be reported', deadlineMs: 30_000 },
    );
    t.like(after, { server: serverAddress, lostReason: 'link-lost' });
    t.true(Number(after.lostAtMs) >= Number(before.linkSinceMs), JSON.stringify(after));
    t.true(Number(after.linkSinceMs) >= Number(after.lostAtMs), JSON.stringify(after));
    const doctor = await site.terminal('doctor');
    t.regex(
      doctor.stdout,
      /path +home-1: link to 203\.0\.113\.9:8443 for .*, the one before was lost .* ago \(link-lost\)/,
    );
    const { stdout } = await site.terminal('mediators');
    t.regex(stdout, /link-lost \d+ s ago/);
  },
);
