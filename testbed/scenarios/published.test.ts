import { blockTcp, blockUdp } from 'netns-test-helpers';
import { mediatorName, servicePort } from '../site.ts';
import { homeAddresses } from '../topologies/home.ts';
import { startNameServer } from './support/peers.ts';
import { Clients, startFeatures, startMirror } from './support/plain-udp.ts';
import { setStage } from './support/stage.ts';

/**
 * Plain UDP through the server (P7.6), both ways and behind two NATs: clients out there reach a LAN's services by ports of
 * the server, and devices reach a plain server out there by a port of the mediator.
 */

const { device, gatewayLan, server, terminal } = homeAddresses;
const [publishedDns, publishedMirror, sip] = [5353, 7007, 5060];

const rules = `
[[publish]]
mediator = "${mediatorName}"
on = "${server}:${publishedDns}"
to = "${device}:53"
from = ["${terminal}"]

[[publish]]
mediator = "${mediatorName}"
on = "${server}:${publishedMirror}"
to = "${device}:7"
from = ["203.0.113.0/24"]

[[service]]
mediator = "${mediatorName}"
at = "${gatewayLan}:${sip}"
to = "${terminal}:${sip}"
`;

const claim = setStage({
  name: 'scpub',
  home: { ports: 'fully-random' },
  peers: async home => {
    await startNameServer(home.device, device, { 'tv.home.example': '192.168.1.77' });
    await startMirror(home.device, device, 7);
    await startMirror(home.terminal, terminal, sip);
  },
  share: async ({ site }) => ({ now: await startFeatures(site, rules) }),
});

claim('P7.6: dig out there asks a dnsmasq of the LAN through a port of the server', async (t, { home }) => {
  const words = [
    `@${server}`,
    '-p',
    String(publishedDns),
    '+short',
    '+tries=5',
    '+time=2',
    'tv.home.example',
  ];
  t.is((await home.terminal.run(['dig', ...words])).trim(), '192.168.1.77');
});

claim(
  'P7.6: who is outside the networks that a port is published for gets no answer',
  async (t, { home }) => {
    const words = [
      `@${server}`,
      '-p',
      String(publishedDns),
      '+short',
      '+tries=1',
      '+time=1',
      'tv.home.example',
    ];
    const { code } = await home.carrier.exec(['dig', '-b', '203.0.113.2', ...words]);
    t.is(code, 9);
  },
);

claim(
  'P7.6: each client has a mediator port of its own, which stays while TCP is blocked and while UDP is',
  async (t, { home }) => {
    const clients = new Clients(t, home.terminal, server, publishedMirror, 3);
    const first = await clients.ask();
    t.is(new Set(first).size, 3);
    t.true(first.every(each => each.startsWith(`${gatewayLan} `)));
    const blocked = { how: 'drop', ports: [servicePort], outside: 'net' } as const;
    const tcp = await home.carrier.apply(blockTcp(blocked));
    t.deepEqual(await clients.ask(4_000), first);
    await tcp.remove();
    const udp = await home.carrier.apply(blockUdp(blocked));
    t.deepEqual(await clients.ask(60_000), first);
    await udp.remove();
    t.deepEqual(await clients.ask(60_000), first);
  },
);

claim(
  'P7.6: devices reach a plain server out there, each from a server socket of its own, whatever carries it',
  async (t, { home }) => {
    const devices = new Clients(t, home.device, gatewayLan, sip, 3, 6000);
    const first = await devices.ask();
    t.is(new Set(first).size, 3);
    t.true(first.every(each => each.startsWith(`${server} `)));
    const udp = await home.carrier.apply(blockUdp({ how: 'drop', ports: [servicePort], outside: 'net' }));
    t.teardown(() => udp.remove());
    t.deepEqual(await devices.ask(60_000), first);
    await udp.remove();
    t.deepEqual(await devices.ask(60_000), first);
  },
);
