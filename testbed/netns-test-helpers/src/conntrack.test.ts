import test from 'ava';
import { parseConntrack } from './conntrack.ts';
import {
  buildTrio,
  insideAddress,
  labTest,
  outsideAddress,
  routerAddress,
  udpPeer,
} from './fixtures/harness.ts';
import { masquerade, until } from './index.ts';

test('conntrack lines are read: TCP with state, UDP unreplied, ICMP without ports', t => {
  const output = [
    'tcp      6 299 ESTABLISHED src=10.0.0.5 dst=203.0.113.9 sport=4711 dport=443 src=203.0.113.9 dst=203.0.113.2 sport=443 dport=40001 [ASSURED] mark=0 use=1',
    'udp      17 29 src=fd00::5 dst=fd00::9 sport=1 dport=2 [UNREPLIED] src=fd00::9 dst=fd00::5 sport=2 dport=1 mark=0 use=1',
    'icmp     1 30 src=10.0.0.5 dst=10.0.0.1 type=8 code=0 id=9 src=10.0.0.1 dst=10.0.0.5 type=0 code=0 id=9 mark=0 use=1',
    'conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.',
    '',
  ].join('\n');
  t.deepEqual(parseConntrack(output), [
    {
      protocol: 'tcp',
      secondsLeft: 299,
      state: 'ESTABLISHED',
      original: { source: '10.0.0.5', destination: '203.0.113.9', sourcePort: 4711, destinationPort: 443 },
      reply: { source: '203.0.113.9', destination: '203.0.113.2', sourcePort: 443, destinationPort: 40001 },
      replied: true,
    },
    {
      protocol: 'udp',
      secondsLeft: 29,
      original: { source: 'fd00::5', destination: 'fd00::9', sourcePort: 1, destinationPort: 2 },
      reply: { source: 'fd00::9', destination: 'fd00::5', sourcePort: 2, destinationPort: 1 },
      replied: false,
    },
    {
      protocol: 'icmp',
      secondsLeft: 30,
      original: { source: '10.0.0.5', destination: '10.0.0.1' },
      reply: { source: '10.0.0.1', destination: '10.0.0.5' },
      replied: true,
    },
  ]);
});

labTest('a UDP mapping dies after its timer, and an answer that comes later is lost', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(lab, masquerade({ outside: 'wan' }));
  await router.setConntrackTimers({ udpSeconds: 1, udpStreamSeconds: 1 });
  const near = await udpPeer(inside, 5000);
  const far = await udpPeer(outside, 9000);
  near.write(`send ${outsideAddress} 9000 hello\n`);
  await far.untilOutput(new RegExp(`^got hello from ${routerAddress} 5000$`, 'm'));
  far.write(`send ${routerAddress} 5000 early\n`);
  await near.untilOutput(/^got early/m);

  const openAgain = async () => (await router.conntrackTable()).every(entry => entry.protocol !== 'udp');
  await until(openAgain, { what: 'the mapping to expire', deadlineMs: 10_000 });
  far.write(`send ${routerAddress} 5000 late\n`);
  await far.untilOutput(/^sent late$/m);

  // A fresh mapping proves that the way is whole, and that "late" is not merely still under way.
  near.write(`send ${outsideAddress} 9000 again\n`);
  await far.untilOutput(/^got again/m);
  far.write(`send ${routerAddress} 5000 fresh\n`);
  await near.untilOutput(/^got fresh/m);
  t.notRegex(near.stdout, /late/);
});

labTest('the conntrack table shows the translation, and a flush empties it', async (t, lab) => {
  const { inside, router, outside } = await buildTrio(
    lab,
    masquerade({ outside: 'wan', ports: 'fully-random' }),
  );
  const near = await udpPeer(inside, 5000);
  const far = await udpPeer(outside, 9000);
  near.write(`send ${outsideAddress} 9000 hello\n`);
  const [, port] = await far.untilOutput(/^got hello from \S+ (\d+)$/m);
  const [entry] = (await router.conntrackTable()).filter(({ protocol }) => protocol === 'udp');
  t.deepEqual(entry?.original, {
    source: insideAddress,
    destination: outsideAddress,
    sourcePort: 5000,
    destinationPort: 9000,
  });
  t.deepEqual(entry?.reply, {
    source: outsideAddress,
    destination: routerAddress,
    sourcePort: 9000,
    destinationPort: Number(port),
  });
  t.false(entry?.replied);
  await router.flushConntrack();
  t.deepEqual(await router.conntrackTable(), []);
});

labTest('timers belong to one namespace, and to every protocol its own', async (t, lab) => {
  const one = await lab.namespace('one');
  const other = await lab.namespace('other');
  const read = (at: typeof one, name: string) =>
    at.run(['cat', `/proc/sys/net/netfilter/nf_conntrack_${name}`]);
  const before = await read(other, 'tcp_timeout_established');
  await one.setConntrackTimers({ tcpEstablishedSeconds: 61, tcpSynSentSeconds: 7, icmpSeconds: 9 });
  t.is(await read(one, 'tcp_timeout_established'), '61\n');
  t.is(await read(one, 'tcp_timeout_syn_sent'), '7\n');
  t.is(await read(one, 'icmp_timeout'), '9\n');
  t.is(await read(other, 'tcp_timeout_established'), before);
  await t.throwsAsync(one.setConntrackTimers({ udpSeconds: 0.5 }), {
    code: 'bad-input',
    message: /udpSeconds/,
  });
});
