import {
  buildTrio,
  fixture,
  insideAddress,
  labTest,
  outsideAddress,
  outsideAddress6,
  routerAddress,
  tcpServer,
  tryTcp,
  udpPeer,
} from './fixtures/harness.ts';
import { masquerade, refuseFromOutside } from './index.ts';

labTest('a masquerading NAT shows its own address, and answers find their way back', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  const server = await tcpServer(outside, 80);
  const client = await inside.run([
    process.execPath,
    fixture('tcp-client'),
    outsideAddress,
    '80',
    '5000',
    '5',
  ]);
  t.regex(client, /^connected 192\.168\.1\.10 \d+\nechoed 5\n$/);
  t.regex(server.stdout, new RegExp(`^accepted (::ffff:)?${routerAddress} `, 'm'));
});

labTest('without the NAT the same connection shows the hidden address', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab);
  const server = await tcpServer(outside, 80);
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
  t.regex(server.stdout, new RegExp(`^accepted (::ffff:)?${insideAddress} `, 'm'));
});

labTest('a NAT refuses strangers, at its own address and at the hidden one', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await tcpServer(inside, 80);
  await tcpServer(router, 80);
  t.regex(await tryTcp(outside, insideAddress, 80), /^connected/);
  t.regex(await tryTcp(outside, routerAddress, 80), /^connected/);
  const nat = await router.apply(masquerade({ outside: 'wan' }));
  t.is(await tryTcp(outside, insideAddress, 80, 500), 'failed TIMEOUT');
  t.is(await tryTcp(outside, routerAddress, 80, 500), 'failed TIMEOUT');
  await nat.remove();
  t.regex(await tryTcp(outside, insideAddress, 80), /^connected/);
});

labTest('a NAT that rejects answers strangers at once', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, masquerade({ outside: 'wan', unsolicited: 'reject' }));
  await tcpServer(inside, 80);
  t.is(await tryTcp(outside, insideAddress, 80), 'failed ECONNREFUSED');
  t.is(await tryTcp(outside, routerAddress, 80), 'failed ECONNREFUSED');
});

labTest('IPv6 passes untranslated, and is refused from outside all the same', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  const server = await tcpServer(outside, 80);
  await tcpServer(inside, 80);
  t.regex(await tryTcp(inside, outsideAddress6, 80), /^connected fd00:1::10 /);
  t.regex(server.stdout, /^accepted fd00:1::10 /m);
  t.is(await tryTcp(outside, 'fd00:1::10', 80, 500), 'failed TIMEOUT');
});

labTest('IPv6 is translated on demand', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, masquerade({ outside: 'wan', ipv6: true }));
  const server = await tcpServer(outside, 80);
  t.regex(await tryTcp(inside, outsideAddress6, 80), /^connected/);
  t.regex(server.stdout, /^accepted 2001:db8::2 /m);
});

labTest('a port-preserving NAT keeps the source port', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, masquerade({ outside: 'wan', ports: 'port-preserving' }));
  const far = await udpPeer(outside, 9000);
  const near = await udpPeer(inside, 5000);
  near.write(`send ${outsideAddress} 9000 one\n`);
  const [, , port] = await far.untilOutput(/^got one from (\S+) (\d+)$/m);
  t.is(port, '5000');
});

labTest('a fully random NAT gives every mapping another port', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, masquerade({ outside: 'wan', ports: 'fully-random' }));
  const far = await udpPeer(outside, 9000);
  const farther = await udpPeer(outside, 9001);
  const near = await udpPeer(inside, 5000);
  near.write(`send ${outsideAddress} 9000 one\nsend ${outsideAddress} 9001 two\n`);
  const [, address, first] = await far.untilOutput(/^got one from (\S+) (\d+)$/m);
  const [, , second] = await farther.untilOutput(/^got two from (\S+) (\d+)$/m);
  t.is(address, routerAddress);
  t.is(new Set(['5000', first, second]).size, 3);
});

labTest('two NATs in series make a carrier double NAT', async (t, lab) => {
  const { inside: home, router: carrier, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  // What was the hidden host becomes a router with a NAT of its own.
  const device = await lab.namespace('device');
  await home.enableForwarding();
  await lab.link(
    { namespace: device, interface: 'eth0', addresses: ['10.0.0.5/24'], gateways: ['10.0.0.1'] },
    { namespace: home, interface: 'lan', addresses: ['10.0.0.1/24'] },
  );
  await home.apply(masquerade({ outside: 'eth0', ports: 'fully-random' }));
  const server = await tcpServer(outside, 443);
  t.regex(await tryTcp(device, outsideAddress, 443), /^connected 10\.0\.0\.5 /);
  t.regex(server.stdout, new RegExp(`^accepted (::ffff:)?${routerAddress} `, 'm'));
  const seen = async (at: typeof home) =>
    (await at.conntrackTable())
      .filter(entry => entry.original.destinationPort === 443)
      .map(e => e.original.source);
  t.deepEqual(await seen(home), ['10.0.0.5']);
  t.deepEqual(await seen(carrier), [insideAddress]);
});

labTest('refuseFromOutside refuses without translating', async (t, lab) => {
  const { inside, outside } = await buildTrio(lab, refuseFromOutside({ outside: 'wan' }));
  const server = await tcpServer(outside, 80);
  await tcpServer(inside, 80);
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
  t.regex(server.stdout, new RegExp(`^accepted (::ffff:)?${insideAddress} `, 'm'));
  t.is(await tryTcp(outside, insideAddress, 80, 500), 'failed TIMEOUT');
});
