import {
  buildTrio,
  labTest,
  outsideAddress,
  outsideAddress6,
  tcpServer,
  tryTcp,
  udpPeer,
} from './fixtures/harness.ts';
import { blockTcp, blockUdp, egressOnlyTcp, masquerade } from './index.ts';

labTest('egressOnlyTcp([443]) lets 443 out and nothing else, IPv4 and IPv6', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  await tcpServer(outside, 443);
  await tcpServer(outside, 80);
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
  const firewall = await router.apply(egressOnlyTcp([443], { outside: 'wan' }));
  t.regex(await tryTcp(inside, outsideAddress, 443), /^connected/);
  t.regex(await tryTcp(inside, outsideAddress6, 443), /^connected/);
  t.is(await tryTcp(inside, outsideAddress, 80, 500), 'failed TIMEOUT');
  t.is(await tryTcp(inside, outsideAddress6, 80, 500), 'failed TIMEOUT');
  t.is(await tryTcp(router, outsideAddress, 80, 500), 'failed TIMEOUT', 'the router itself is judged too');
  await firewall.remove();
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/);
});

labTest('egressOnlyTcp that rejects answers with RST', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await tcpServer(outside, 443);
  await tcpServer(outside, 80);
  await router.apply(egressOnlyTcp([443], { how: 'reject' }));
  t.is(await tryTcp(inside, outsideAddress, 80), 'failed ECONNREFUSED');
  t.regex(await tryTcp(inside, outsideAddress, 443), /^connected/);
});

labTest('egressOnlyTcp stops UDP', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  const far = await udpPeer(outside, 443);
  const near = await udpPeer(inside, 5000);
  const firewall = await router.apply(egressOnlyTcp([443]));
  near.write(`send ${outsideAddress} 443 stopped\n`);
  await near.untilOutput(/^sent stopped$/m);
  await firewall.remove();
  near.write(`send ${outsideAddress} 443 passed\n`);
  await far.untilOutput(/^got passed/m);
  t.notRegex(far.stdout, /stopped/);
});

labTest('blockUdp stops a flow under way, and removing it lets the flow go on', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  const far = await udpPeer(outside, 9000, '4', 'echo');
  await tcpServer(outside, 80);
  const near = await udpPeer(inside, 5000);
  near.write(`send ${outsideAddress} 9000 before\n`);
  await near.untilOutput(/^got before/m);
  const block = await router.apply(blockUdp({ how: 'drop' }));
  near.write(`send ${outsideAddress} 9000 during\n`);
  await near.untilOutput(/^sent during$/m);
  t.regex(await tryTcp(inside, outsideAddress, 80), /^connected/, 'TCP is left alone');
  await block.remove();
  near.write(`send ${outsideAddress} 9000 after\n`);
  await near.untilOutput(/^got after/m);
  t.notRegex(far.stdout, /during/);
});

labTest('blockUdp that rejects tells the sender by ICMP', async (t, lab) => {
  const { inside, router } = await buildTrio(lab);
  await router.apply(blockUdp({ how: 'reject' }));
  // A connected socket is one that hears of ICMP errors.
  const script = `const s = require('node:dgram').createSocket('udp4');
    s.on('error', e => { console.log(e.code); s.close(); });
    s.connect(9000, '${outsideAddress}', () => s.send('x'));`;
  t.is(await inside.run([process.execPath, '-e', script], { deadlineMs: 5_000 }), 'ECONNREFUSED\n');
});

labTest('blockUdp for some ports leaves the others alone', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab);
  await router.apply(blockUdp({ ports: [443], outside: 'wan' }));
  const blocked = await udpPeer(outside, 443);
  const open = await udpPeer(outside, 9000);
  const near = await udpPeer(inside, 5000);
  near.write(`send ${outsideAddress} 443 one\nsend ${outsideAddress} 9000 two\n`);
  await open.untilOutput(/^got two/m);
  t.notRegex(blocked.stdout, /got/);
});

labTest(
  'blockTcp that rejects answers a connection attempt with RST, one that drops with silence',
  async (t, lab) => {
    const { inside, router, outside } = await buildTrio(lab);
    await tcpServer(outside, 80);
    const rejecting = await router.apply(blockTcp({ how: 'reject', ports: [80] }));
    t.is(await tryTcp(inside, outsideAddress, 80), 'failed ECONNREFUSED');
    await rejecting.remove();
    await router.apply(blockTcp({ how: 'drop', ports: [80] }));
    t.is(await tryTcp(inside, outsideAddress, 80, 500), 'failed TIMEOUT');
  },
);
