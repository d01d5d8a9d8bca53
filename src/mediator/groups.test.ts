import dgram, { type Socket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { until } from '../native/test-sockets.ts';
import { gatewayFacts } from '../policy/gateway-facts.ts';
import { parseOwnerPolicy } from '../policy/owner-policy.ts';
import type { Rig } from './testing/rig.ts';
import { attached } from './testing/set-up.ts';
import { TestTerminal } from './testing/test-terminal.ts';

/** Groups and broadcasts, with loopback as the LAN: testbed/scenarios/groups.test.ts has a real one. */

const group = '239.255.77.77';
const udp = { protocol: 'udp' } as const;
const said = {
  targets: { networks: ['loopback', 'multicast', 'broadcast'], udp: ['1-65535'] },
  ports: { addresses: ['loopback', 'wildcard', 'multicast', 'broadcast'], udp: ['1024-65535'] },
};
const owner = { ...said, lan: ['lo'] };

/** Makes loopback the LAN, or not. */
function loopbackAsLan(rig: Rig, lan: readonly string[] = ['lo']): void {
  const addresses = [
    { address: '127.0.0.1', prefixLength: 8 },
    { address: '::1', prefixLength: 128 },
  ];
  rig.basis.facts = gatewayFacts([{ name: 'lo', addresses }], [], lan);
  rig.basis.owner = parseOwnerPolicy(owner, 'test');
}

/** A device that is in the group, and answers from an address of its own. */
async function member(t: ExecutionContext): Promise<{ readonly number: number; readonly heard: string[] }> {
  const heard: string[] = [];
  const inGroup = dgram.createSocket({ type: 'udp4', reuseAddr: true });
  const own = dgram.createSocket('udp4');
  t.teardown(() => [inGroup, own].forEach(each => void each.close()));
  own.bind(0, '127.0.0.2');
  inGroup.on('message', (bytes, from) => {
    heard.push(bytes.toString());
    own.send(`answer to ${bytes}`, from.port, from.address);
  });
  own.on('message', (bytes, from) => own.send(bytes, from.port, from.address));
  inGroup.bind(0, group, () => inGroup.addMembership(group, '127.0.0.1'));
  await Promise.all([once(inGroup, 'listening'), once(own, 'listening')]);
  return { number: inGroup.address().port, heard };
}

async function sender(t: ExecutionContext, address = '127.0.0.1'): Promise<Socket> {
  const socket = dgram.createSocket('udp4');
  t.teardown(() => void socket.close());
  socket.bind(0, address);
  await once(socket, 'listening');
  socket.setMulticastInterface('127.0.0.1');
  return socket;
}

test('S8, P5.9: a device that answers what was sent to a group gets through, from its own address', async t => {
  const { terminal, rig } = await attached(t, { claims: said });
  loopbackAsLan(rig);
  const { number, heard } = await member(t);
  const { port = 0 } = await terminal.open(udp);
  terminal.send(port, number, Buffer.from('who is there'), group);
  await terminal.until(() => terminal.datagrams.length === 1);
  const [answer] = terminal.datagrams;
  t.deepEqual([answer?.peerAddress, answer?.bytes.toString()], ['127.0.0.2', 'answer to who is there']);
  terminal.send(port, answer?.peerNumber ?? 0, Buffer.from('and you'), '127.0.0.2');
  await terminal.until(() => terminal.datagrams.length === 2);
  t.is(terminal.datagrams[1]?.bytes.toString(), 'and you');
  t.deepEqual(heard, ['who is there']);
  const lines = rig.lines.filter(({ verb }) => verb === 'datagram');
  t.deepEqual(
    lines.map(({ address, decision }) => [address, decision]),
    [
      [group, 'allowed'],
      ['127.0.0.2', 'allowed'],
    ],
  );
});

test('P6.8: what is sent to a group that nobody names goes nowhere', async t => {
  const { terminal, rig } = await attached(t, {
    claims: { ...said, targets: { networks: ['loopback'], udp: ['1-65535'] } },
  });
  loopbackAsLan(rig);
  const { number, heard } = await member(t);
  const opened = await terminal.open(udp);
  terminal.send(opened.port ?? 0, number, Buffer.from('no'), group);
  await until('it was asked about', () => rig.lines.some(({ verb }) => verb === 'datagram'));
  t.like(
    rig.lines.find(({ verb }) => verb === 'datagram'),
    { address: group, decision: 'denied' },
  );
  t.deepEqual(heard, []);
});

test('P6.8: from an address that is none of the LAN no group is sent to, whoever names it', async t => {
  const { terminal, rig } = await attached(t, { claims: said });
  loopbackAsLan(rig, []);
  const { number, heard } = await member(t);
  const ports = [await terminal.open(udp), await terminal.open({ ...udp, address: '0.0.0.0' })];
  for (const { port = 0 } of ports) terminal.send(port, number, Buffer.from('no'), group);
  loopbackAsLan(rig);
  const { port = 0 } = await terminal.open(udp);
  terminal.send(port, number, Buffer.from('yes'), group);
  await terminal.until(() => terminal.datagrams.length === 1);
  t.deepEqual(heard, ['yes']);
});

test('P6.8: a port of a group, and of a broadcast address, is opened only where both name it', async t => {
  const { terminal, rig } = await attached(t, {
    claims: { ...said, ports: { ...said.ports, addresses: ['loopback'] } },
  });
  loopbackAsLan(rig);
  for (const address of [group, '127.255.255.255', '255.255.255.255'])
    t.like(await terminal.open({ ...udp, address }), { code: 'not-permitted', by: 'grant' });
});

for (const withoutAddon of [false, true]) {
  const how = withoutAddon ? 'without the addon' : 'with the addon';

  test(`P5.1: a port of a group hears what is sent to it, and shares its number with whoever shares it, ${how}`, async t => {
    const { rig, terminal } = await attached(t, { claims: said, withoutAddon });
    loopbackAsLan(rig);
    const other = await TestTerminal.attach(rig, { claims: said });
    const opened = await terminal.open({ ...udp, address: group });
    t.is(opened.address, group);
    const number = opened.number ?? 0;
    const wish = { ...udp, address: group, number, choice: 'mandatory' } as const;
    t.is((await other.open(wish)).number, number);
    const device = await sender(t);
    device.send('here I am', number, group);
    for (const each of [terminal, other]) {
      await each.until(() => each.datagrams.length === 1);
      t.like(each.datagrams[0], { peerAddress: '127.0.0.1', peerNumber: device.address().port });
    }
    t.like(
      rig.lines.find(({ verb, address }) => verb === 'open' && address === group),
      { interface: 'lo' },
    );
  });

  test(`P5.1: a port of a broadcast address hears broadcasts; one of an address sends them, ${how}`, async t => {
    const { terminal, rig } = await attached(t, { claims: said, withoutAddon });
    loopbackAsLan(rig);
    const hearing = await terminal.open({ ...udp, address: '127.255.255.255' });
    t.is(hearing.code, 'ok', hearing.message);
    const sending = await terminal.open(udp);
    terminal.send(sending.port ?? 0, hearing.number ?? 0, Buffer.from('everybody'), '127.255.255.255');
    await terminal.until(() => terminal.datagrams.length === 1);
    t.like(terminal.datagrams[0], {
      port: hearing.port,
      peerAddress: '127.0.0.1',
      peerNumber: sending.number,
    });
  });
}

test('P6.8: without the addon a port of a group hears the LAN’s own addresses alone', async t => {
  const { terminal, rig } = await attached(t, { claims: said, withoutAddon: true });
  const only = [{ address: '127.0.0.1', prefixLength: 32 }];
  rig.basis.facts = gatewayFacts([{ name: 'lo', addresses: only }], [], ['lo']);
  rig.basis.owner = parseOwnerPolicy(owner, 'test');
  const { number = 0, port } = await terminal.open({ ...udp, address: group });
  const say = (from: Socket, text: string) =>
    new Promise<unknown>(resolve => from.send(text, number, group, resolve));
  await say(await sender(t, '127.0.0.2'), 'from elsewhere');
  await say(await sender(t), 'from the LAN');
  await terminal.until(() => terminal.datagrams.length === 1);
  t.deepEqual(
    terminal.datagrams.map(({ bytes, port: at }) => [at, bytes.toString()]),
    [[port, 'from the LAN']],
  );
});
