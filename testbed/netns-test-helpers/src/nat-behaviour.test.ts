import test from 'ava';
import {
  buildTrio,
  labTest,
  outsideAddress,
  routerAddress,
  tcpServer,
  tryTcp,
  udpPeer,
} from './fixtures/harness.ts';
import {
  type Lab,
  type Masquerade,
  masquerade,
  type Namespace,
  type NatBehaviour,
  natBehaviours,
  type Program,
  until,
} from './index.ts';

/** A second address of the outside host. */
const otherAddress = '203.0.113.10';

/** What one sees through a NAT: two sockets behind it, and three outside. */
interface Seen {
  /** The first is to be contacted by strangers, the second by nobody: an answer keeps the port that was asked. */
  readonly contacted: Program;
  readonly inside: Program;
  /** At the first address and port, at the same address and another port, at another address. */
  readonly outside: readonly [Program, Program, Program];
}

async function peers(lab: Lab, nat: Masquerade): Promise<Seen> {
  const { inside, outside } = await buildTrio(lab, nat);
  await outside.ip(`address add ${otherAddress}/24 dev eth0`);
  const at = (port: number, address: string) => udpPeer(outside, port, '4', 'plain', address);
  return {
    contacted: await udpPeer(inside, 5001),
    inside: await udpPeer(inside, 5000),
    outside: await Promise.all([at(9000, outsideAddress), at(9001, outsideAddress), at(9000, otherAddress)]),
  };
}

/** The outside port that each of the three sees when inside has sent to it. */
async function outsidePorts({ inside, outside }: Seen): Promise<number[]> {
  inside.write(`send ${outsideAddress} 9000 a\nsend ${outsideAddress} 9001 a\nsend ${otherAddress} 9000 a\n`);
  const came = outside.map(peer => peer.untilOutput(/^got a from (\S+) (\d+)$/m));
  return (await Promise.all(came)).map(([, , port]) => Number(port));
}

function mappingOf([first, otherPort, otherHost]: readonly number[]): NatBehaviour {
  if (first !== otherPort) return 'address-and-port-dependent';
  return first === otherHost ? 'endpoint-independent' : 'address-dependent';
}

/** Who of the three reaches inside after it has sent to the first alone. */
async function filteringOf({ contacted: inside, outside }: Seen): Promise<NatBehaviour> {
  const [first, otherPort, otherHost] = outside;
  inside.write(`send ${outsideAddress} 9000 begin\n`);
  const [, , port] = await first.untilOutput(/^got begin from (\S+) (\d+)$/m);
  for (const [peer, name] of [
    [otherPort, 'other-port'],
    [otherHost, 'other-host'],
    [first, 'last'],
  ] as const) {
    peer.write(`send ${routerAddress} ${port} ${name}\n`);
    await peer.untilOutput(new RegExp(`^sent ${name}$`, 'm'));
  }
  // What was sent before it and has not come by now never will.
  await inside.untilOutput(/^got last/m);
  if (inside.stdout.includes('got other-host')) return 'endpoint-independent';
  return inside.stdout.includes('got other-port') ? 'address-dependent' : 'address-and-port-dependent';
}

const combinations = natBehaviours.flatMap(mapping =>
  natBehaviours.map(filtering => ({ mapping, filtering })),
);

for (const { mapping, filtering } of combinations)
  labTest(`a random NAT can have ${mapping} mapping with ${filtering} filtering`, async (t, lab) => {
    const nat = masquerade({ outside: 'wan', ports: 'fully-random', mapping, filtering });
    const seen = await peers(lab, nat);
    t.is(await filteringOf(seen), filtering);
    const ports = await outsidePorts(seen);
    t.is(mappingOf(ports), mapping, `outside ports ${ports}`);
    t.false(ports.includes(5000), 'none is preserved');
    if (mapping !== 'address-and-port-dependent') t.true(Math.min(...ports) >= 49_152, `${ports}`);
  });

for (const filtering of natBehaviours)
  labTest(`a port-preserving NAT can have ${filtering} filtering`, async (t, lab) => {
    const seen = await peers(lab, masquerade({ outside: 'wan', filtering }));
    t.is(await filteringOf(seen), filtering);
    t.deepEqual(await outsidePorts(seen), [5000, 5000, 5000]);
  });

const kindest = {
  ports: 'fully-random',
  mapping: 'endpoint-independent',
  filtering: 'endpoint-independent',
} as const;

labTest('a mapping is forgotten when nothing has left for its time', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await router.apply(masquerade({ outside: 'wan', ...kindest, mappingSeconds: 4 }));
  const near = await udpPeer(inside, 5000);
  const [far, early, late] = await Promise.all([9000, 9001, 9002].map(port => udpPeer(outside, port)));
  near.write(`send ${outsideAddress} 9000 begin\n`);
  const [, , port] = (await far?.untilOutput(/^got begin from (\S+) (\d+)$/m)) ?? [];
  early?.write(`send ${routerAddress} ${port} early\n`);
  await near.untilOutput(/^got early/m);
  await untilForgotten(router);
  late?.write(`send ${routerAddress} ${port} late\n`);
  await late?.untilOutput(/^sent late$/m);
  // Conntrack still knows the first flow, so the way is whole.
  far?.write(`send ${routerAddress} ${port} last\n`);
  await near.untilOutput(/^got last/m);
  t.notRegex(near.stdout, /late/);
});

function untilForgotten(router: Namespace): Promise<boolean> {
  const list = (map: string) => router.query(['nft', 'list', 'map', 'inet', 'lab1', map]);
  const isEmpty = async (map: string) => !(await list(map)).includes('elements');
  const what = 'the mapping to be forgotten';
  return until(async () => (await isEmpty('mapping')) && (await isEmpty('inside')), { what });
}

labTest('it maps TCP, too, and lets strangers connect to where something has left', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, masquerade({ outside: 'wan', ...kindest }));
  const servers = [await tcpServer(outside, 80), await tcpServer(outside, 81)];
  const connectFrom = (port: number) =>
    `new Promise(done => net.connect({ host: '${outsideAddress}', port: ${port}, localPort: 7000 }, done))`;
  const bothConnected = `Promise.all([${connectFrom(80)}, ${connectFrom(81)}])`;
  await inside.run([process.execPath, '-e', `${bothConnected}.then(() => process.exit())`]);
  const accepted = servers.map(server => server.untilOutput(/^accepted \S+ (\d+)$/m));
  const ports = (await Promise.all(accepted)).map(([, port]) => Number(port));
  t.is(ports[0], ports[1]);
  t.not(ports[0], 7000);
  const server = await tcpServer(inside, 7000);
  t.regex(await tryTcp(outside, routerAddress, ports[0] ?? 0), /^connected/);
  t.regex(server.stdout, new RegExp(`^accepted (::ffff:)?${outsideAddress} `, 'm'));
  t.is(await tryTcp(outside, routerAddress, 7000, 300), 'failed TIMEOUT');
});

test('a preserved port cannot depend on the destination', t => {
  const asked = () => masquerade({ outside: 'wan', mapping: 'address-dependent' });
  t.throws(asked, { code: 'bad-input', message: /address-dependent mapping needs fully-random/ });
});
