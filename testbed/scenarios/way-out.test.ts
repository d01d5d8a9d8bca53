import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { until } from 'netns-test-helpers';
import { mediatorName } from '../site.ts';
import { programPath } from './support/peers.ts';
import { setStage } from './support/stage.ts';

/** A gateway with two ways out: what happens when the default route goes over to the other one. */

/** Less than P8.1's silence, which would find it out as well: 5.8 s. */
const atOnceMs = 5_000;

const claim = setStage({
  name: 'scwayout',
  peers: ({ lab, gateway, carrier }) =>
    lab.link(
      { namespace: gateway, interface: 'wwan', addresses: ['100.64.1.2/24'] },
      { namespace: carrier, interface: 'sub2', addresses: ['100.64.1.1/24'] },
    ),
});

function timesOnline(log: string): number {
  return log.split('\n').filter(line => /"msg":"online"/.test(line)).length;
}

claim(
  'P8.1: when the WAN fails over, its interface up still, the mediator is back at once',
  async (t, stage) => {
    const { gateway, carrier } = stage.home;
    const { mediator, terminal } = stage.site;
    const before = timesOnline(mediator.stderr);
    // What was sent by the old way has no way back any more, and nobody says so.
    await carrier.ip('route add blackhole 100.64.0.2/32');
    const startedAt = performance.now();
    await gateway.ip('route replace default via 100.64.1.1 dev wwan');
    await until(() => timesOnline(mediator.stderr) > before, {
      what: 'the mediator to be online again',
      deadlineMs: atOnceMs,
      explain: () => mediator.stderr.slice(-2000),
    });
    t.log(`online again ${Math.round(performance.now() - startedAt)} ms after the route had changed`);
    t.regex(mediator.stderr, /another way out/);
    const { stdout } = await terminal('mediators', '--wait', mediatorName, '--json');
    t.regex(stdout, /"online":true/);
  },
);

const addon = fileURLToPath(new URL('../../bundle/entremise.node', import.meta.url));

const changes = [
  'address add 192.0.2.77/24 dev wwan',
  'route add 203.0.113.128/25 dev wwan',
  'address add 2001:db8:77::1/64 dev wwan nodad',
  'route add 2001:db8:78::/64 dev wwan',
  'route del 203.0.113.128/25',
  'link set wwan down',
  'link set wwan up',
];

claim('S5: the addon tells of each change of interfaces, addresses and routes', async (t, { home }) => {
  const { gateway } = home;
  const program = gateway.spawn([process.execPath, programPath('network-watch.mjs'), addon], {
    stdin: 'pipe',
  });
  t.teardown(() => program.stop());
  const told = () => Number(/"told":(\d+)}\s*$/.exec(program.stdout)?.[1] ?? 0);
  const explain = () => `${program.stdout}${program.stderr}`;
  await until(() => program.stdout.includes('"watching":true'), { what: 'the watch to begin', explain });
  for (const change of changes) {
    const before = told();
    await gateway.ip(change);
    await until(() => told() > before, { what: `${change} to be told`, explain });
  }
  t.true(told() >= changes.length);
});
