import {
  buildTrio,
  fixture,
  labTest,
  outsideAddress,
  outsideAddress6,
  tcpServer,
  tryTcp,
} from './fixtures/harness.ts';
import { blockTcp, masquerade, until, untilInterfaceUp } from './index.ts';

labTest('a link carries IPv4 and IPv6 as soon as it is made', async (t, lab) => {
  const left = await lab.namespace('left');
  const right = await lab.namespace('right');
  const [leftEnd, rightEnd] = await lab.link(
    { namespace: left, interface: 'eth0', addresses: ['10.0.0.1/24', 'fd00::1/64'] },
    { namespace: right, interface: 'eth0', addresses: ['10.0.0.2/24', 'fd00::2/64'] },
    { mtu: 1_280 },
  );
  await tcpServer(right, 80);
  t.is((await tryTcp(left, '10.0.0.2', 80)).split(' ')[1], '10.0.0.1');
  t.is((await tryTcp(left, 'fd00::2', 80)).split(' ')[1], 'fd00::1');
  t.regex(await left.run(['ip', 'link', 'show', 'dev', 'eth0']), / mtu 1280 /);
  t.regex(await right.run(['ip', 'link', 'show', 'dev', 'eth0']), / mtu 1280 /);
  t.deepEqual([leftEnd.mtu, rightEnd.addresses], [1_280, ['10.0.0.2/24', 'fd00::2/64']]);
});

labTest('a bridge joins several hosts, one attached later, and its own namespace', async (t, lab) => {
  const gateway = await lab.namespace('gateway');
  const hosts = await Promise.all(['one', 'two', 'three'].map(name => lab.namespace(name)));
  const [one, two, three] = hosts;
  if (!one || !two || !three) throw new Error('three hosts were asked for');
  const end = (namespace: typeof one, last: number) => ({
    namespace,
    interface: 'eth0',
    addresses: [`192.168.1.${last}/24`, `fd00::${last}/64`],
    gateways: ['192.168.1.1'],
  });
  const bridge = await lab.bridge(
    { namespace: gateway, interface: 'br-lan', addresses: ['192.168.1.1/24', 'fd00::1/64'] },
    [end(one, 11), end(two, 12)],
  );
  await bridge.attach(end(three, 13));
  await tcpServer(two, 80);
  for (const address of ['192.168.1.12', 'fd00::12']) {
    t.regex(await tryTcp(one, address, 80), /^connected/);
    t.regex(await tryTcp(three, address, 80), /^connected/);
    t.regex(await tryTcp(gateway, address, 80), /^connected/);
  }
  t.deepEqual(bridge.hosts.map(String), ['one/eth0', 'two/eth0', 'three/eth0']);
  t.regex(await one.run(['ip', 'route']), /^default via 192\.168\.1\.1 dev eth0/);
});

labTest('what a bridge passes on, the firewall of its namespace does not see', async (t, lab) => {
  const gateway = await lab.namespace('gateway');
  const one = await lab.namespace('one');
  const two = await lab.namespace('two');
  const end = (namespace: typeof one, last: number) => ({
    namespace,
    interface: 'eth0',
    addresses: [`192.168.1.${last}/24`],
  });
  await lab.bridge({ namespace: gateway, interface: 'br-lan', addresses: ['192.168.1.1/24'] }, [
    end(one, 11),
    end(two, 12),
  ]);
  await gateway.apply(blockTcp());
  await tcpServer(two, 80);
  t.regex(await tryTcp(one, '192.168.1.12', 80), /^connected/);
});

labTest('a route leads where it was set to', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await outside.ip('address add 198.51.100.1/32 dev lo');
  await tcpServer(outside, 80);
  t.is(await tryTcp(inside, '198.51.100.1', 80), 'failed ENETUNREACH');
  await router.route('198.51.100.0/24', outsideAddress);
  t.regex(await tryTcp(inside, '198.51.100.1', 80), /^connected/);
  await t.throwsAsync(router.route('198.51.100.0', outsideAddress), { code: 'bad-input' });
});

labTest('a rate limit slows down what the interface sends, and can be lifted', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab);
  const server = await tcpServer(outside, 80);
  const bytes = 400_000;
  const upload = async () => {
    const seenBefore = server.stdout.length;
    await inside.run([process.execPath, fixture('tcp-client'), outsideAddress, '80', '20000', String(bytes)]);
    return Number(/read 400000 in (\d+)/.exec(server.stdout.slice(seenBefore))?.[1]);
  };
  const [wire] = inside.interfaces;
  await wire?.limitRate({ rateKbit: 4_000, burstBytes: 20_000 });
  const limitedMs = await upload();
  await wire?.unlimitRate();
  const freeMs = await upload();
  // The burst may leave at once; a tenth is the tolerance for the moment at which the server starts its clock.
  const leastMs = 0.9 * (((bytes - 20_000) * 8) / 4_000);
  t.true(limitedMs >= leastMs, `limited: ${limitedMs} ms, at least ${leastMs}`);
  t.true(limitedMs < 4 * leastMs, `limited: ${limitedMs} ms is far slower than 4 Mbit/s`);
  t.true(freeMs < limitedMs / 2, `free: ${freeMs} ms, limited: ${limitedMs} ms`);
});

labTest(
  'a link that goes down takes the way with it, and coming up brings back addresses and routes',
  async (t, lab) => {
    const { inside, outside } = await buildTrio(lab);
    await tcpServer(outside, 80);
    const [wire] = inside.interfaces;
    await wire?.down();
    t.is(await tryTcp(inside, outsideAddress, 80), 'failed ENETUNREACH');
    t.regex(lab.drawing(), /eth0 192\.168\.1\.10\/24 \(down\)/);
    await wire?.up();
    await wire?.untilUp();
    t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
    t.regex(await tryTcp(inside, outsideAddress6, 80), /^connected/);
  },
);

labTest('the other end sees the carrier go and come', async (t, lab) => {
  const left = await lab.namespace('left');
  const right = await lab.namespace('right');
  const [leftEnd] = await lab.link({ namespace: left, interface: 'e' }, { namespace: right, interface: 'e' });
  await leftEnd.down();
  await t.throwsAsync(untilInterfaceUp(right, 'e', 100), {
    code: 'deadline',
    message: /interface e in right/,
  });
  await leftEnd.up();
  await t.notThrowsAsync(untilInterfaceUp(right, 'e'));
  await t.throwsAsync(untilInterfaceUp(right, 'none', 100), { code: 'deadline', message: /does not exist/ });
});

labTest('after its addresses are replaced a router is known by the new one only', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  const server = await tcpServer(outside, 80);
  await router.interfaces[1]?.replaceAddresses(['203.0.113.77/24', '2001:db8::77/64'], [outsideAddress]);
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
  t.regex(server.stdout, /^accepted (::ffff:)?203\.0\.113\.77 /m);
  const shown = await router.run(['ip', 'address', 'show', 'dev', 'wan']);
  t.regex(shown, /203\.0\.113\.77\/24/);
  t.notRegex(shown, /203\.0\.113\.2\/|2001:db8::2\//);
  t.regex(await router.run(['ip', 'route', 'show', 'default']), /via 203\.0\.113\.9 dev wan/);
  await until(() => lab.drawing().includes('203.0.113.77/24'), { what: 'the new address in the drawing' });
});

labTest('a failing line is named in the error', async (t, lab) => {
  const left = await lab.namespace('left');
  await t.throwsAsync(left.ip('link set dev lo up', 'link set dev nowhere up', 'link set dev lo up'), {
    code: 'command-failed',
    message: /^\[left\] ip link set dev nowhere up: exit code 1\nCannot find device "nowhere"/,
  });
});
